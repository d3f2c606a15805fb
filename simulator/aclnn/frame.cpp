#include "frame.h"

#include <ATen/EmptyTensor.h>
#include <ATen/ops/from_blob.h>

namespace cann_simulator {
namespace {

at::Tensor in_memory(const TensorView& view) {
  return at::from_blob(view.readable, view.sizes, view.strides, at::TensorOptions().dtype(view.dtype));
}

}  // namespace

at::ScalarType Widening::of(at::ScalarType dtype) const {
  if (floats && (dtype == at::kHalf || dtype == at::kBFloat16)) return at::kFloat;
  return integers && dtype == at::kInt ? at::kLong : dtype;
}

Frame::Frame(const std::vector<Value>& values, const Parameter* parameters, Place place, Widening widening,
             cann_simulator_meeting* meeting)
    : values_(values),
      parameters_(parameters),
      place_(place),
      widening_(widening),
      meeting_(meeting),
      tensors_(values.size()) {
  for (std::size_t index = 0; index < values.size(); ++index) {
    if (const auto* view = std::get_if<TensorView>(&values[index])) {
      tensors_[index].push_back(materialise(*view));
    } else if (const auto* list = std::get_if<ViewList>(&values[index])) {
      tensors_[index].reserve(list->size());
      for (const auto& item : *list) {
        tensors_[index].push_back(item ? materialise(*item) : at::Tensor());
      }
    } else if (std::holds_alternative<std::monostate>(values[index]) &&
               parameters[index].kind == Kind::kTensor) {
      tensors_[index].emplace_back();
    }
  }
}

at::Tensor Frame::materialise(const TensorView& view) const {
  const at::ScalarType dtype = widening_.of(view.dtype);
  if (place_ == Place::kMeta) return at::detail::empty_strided_meta(view.sizes, view.strides, dtype);
  return in_memory(view).to(dtype);
}

c10::optional<at::Tensor> Frame::optional_tensor(std::size_t index) const {
  const at::Tensor& tensor = tensors_[index].front();
  return tensor.defined() ? c10::optional<at::Tensor>(tensor) : c10::nullopt;
}

c10::optional<at::Scalar> Frame::optional_scalar(std::size_t index) const {
  const auto* scalar = std::get_if<at::Scalar>(&values_[index]);
  return scalar != nullptr ? c10::optional<at::Scalar>(*scalar) : c10::nullopt;
}

OptionalInts Frame::optional_ints(std::size_t index) const {
  const auto* ints = std::get_if<std::vector<int64_t>>(&values_[index]);
  return ints != nullptr ? OptionalInts(*ints) : OptionalInts();
}

at::ScalarType Frame::dtype(std::size_t index) const {
  return widening_.of(std::get<at::ScalarType>(values_[index]));
}

std::string Frame::string(std::size_t index) const {
  const auto* text = std::get_if<std::string>(&values_[index]);
  return text != nullptr ? *text : std::string();
}

Ranks Frame::ranks(std::size_t index) const {
  const auto& place = std::get<GroupPlace>(values_[index]);
  return {meeting_, place.size, place.rank};
}

void Frame::require_shapes_kept() {
  for (std::size_t index = 0; index < values_.size(); ++index) {
    const auto* view = std::get_if<TensorView>(&values_[index]);
    if (view == nullptr || !parameters_[index].written) continue;
    const at::IntArrayRef given = view->sizes;
    TORCH_CHECK(tensor(index).sizes() == given, "'", parameters_[index].name, "' has shape ", given,
                ", the operator computes shape ", tensor(index).sizes());
  }
}

void Frame::store_wide() {
  const auto store = [this](const TensorView& view, const at::Tensor& tensor) {
    if (widening_.of(view.dtype) != view.dtype) in_memory(view).copy_(tensor);
  };
  for (std::size_t index = 0; index < values_.size(); ++index) {
    if (!parameters_[index].written) continue;
    if (const auto* view = std::get_if<TensorView>(&values_[index])) store(*view, tensor(index));
    if (const auto* list = std::get_if<ViewList>(&values_[index])) {
      for (std::size_t item = 0; item < list->size(); ++item) store(*(*list)[item], tensors_[index][item]);
    }
  }
}

void Frame::store_sized(std::size_t index, const at::Tensor& result) {
  const auto& view = std::get<TensorView>(values_[index]);
  at::Tensor& room = tensor(index);
  TORCH_CHECK(result.numel() <= room.numel(), "the result has ", result.numel(),
              " elements, its output has room for ", room.numel());
  const auto options = at::TensorOptions().dtype(view.dtype);
  at::from_blob(view.readable, result.sizes(), options).copy_(result);
  // What was stored stays when wide copies are rounded back.
  if (widening_.of(view.dtype) != view.dtype) room = in_memory(view);
  const std::lock_guard<std::mutex> lock(view.view_shape->mutex);
  view.view_shape->sizes = result.sizes().vec();
  view.view_shape->known = true;
}

}  // namespace cann_simulator
