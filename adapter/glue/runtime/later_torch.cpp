#include "runtime/later_torch.h"

#if NPU_SERVES_LATER

#include <torch/csrc/autograd/custom_function.h>

// torch::autograd::_wrap_outputs as 2.13 has it, for CMakeLists.txt too.
// clang-format off
#define NPU_WRAP_OUTPUTS \
  "_ZN5torch8autograd13_wrap_outputsERKSt6vectorIN2at6TensorESaIS3_EERKSt13unordered_setIPN3c1010TensorImplESt4hashISB_ESt8equal_toISB_ESaISB_EESJ_NS9_8ArrayRefISt8optionalIS3_EEERKNS9_13intrusive_ptrINS0_4NodeENS9_6detail34intrusive_target_default_null_typeISP_EEEERKSt8functionIFS5_S5_S5_EESJ_RKSW_IFS3_S3_EEb"
// clang-format on

namespace npu {
namespace {

// torch has this function of c10::GeneratorImpl from 2.14 on.
extern "C" void torch_philox_state() __asm__("_ZN3c1013GeneratorImpl12philox_stateEmRN2at6TensorES3_S3_")
    __attribute__((weak));

}  // namespace

bool torch_is_later() { return &torch_philox_state != nullptr; }

using Node = c10::intrusive_ptr<torch::autograd::Node>;
using Wrapped = std::vector<optional<at::Tensor>>;
using Tensors = torch::autograd::variable_list;
using Set = std::unordered_set<at::TensorImpl*>;
using Outputs = at::ArrayRef<optional<at::Tensor>>;
using Forward = std::function<Tensors(Tensors, Tensors)>;
using View = std::function<at::Tensor(at::Tensor)>;

// Either is there in one of the two. The linker's --wrap gives them their names (CMakeLists.txt).
Wrapped wrap_2_13(const Tensors&, const Set&, const Set&, Outputs, const Node&, const Forward&, const Set&,
                  const View&, bool) __asm__("__real_" NPU_WRAP_OUTPUTS) __attribute__((weak));
Wrapped wrap_2_14(const Tensors&, const Set&, const Set&, Outputs, const Node&, const Forward&, const Set&,
                  const View&, bool, Node&) __asm__(NPU_WRAP_OUTPUTS "RST_") __attribute__((weak));

// What every torch::autograd::Function of this library calls. 2.14 says which node it attached, for hooks on
// the making of nodes, which it would run for functions compiled for it; for these it does not.
Wrapped wrap(const Tensors& inputs, const Set& non_differentiable, const Set& dirty, Outputs outputs,
             const Node& node, const Forward& jvp, const Set& to_save, const View& view,
             bool pure_view) __asm__("__wrap_" NPU_WRAP_OUTPUTS);
Wrapped wrap(const Tensors& inputs, const Set& non_differentiable, const Set& dirty, Outputs outputs,
             const Node& node, const Forward& jvp, const Set& to_save, const View& view, bool pure_view) {
  if (!torch_is_later()) {
    return wrap_2_13(inputs, non_differentiable, dirty, outputs, node, jvp, to_save, view, pure_view);
  }
  Node attached;
  return wrap_2_14(inputs, non_differentiable, dirty, outputs, node, jvp, to_save, view, pure_view, attached);
}

}  // namespace npu

#endif  // NPU_SERVES_LATER
