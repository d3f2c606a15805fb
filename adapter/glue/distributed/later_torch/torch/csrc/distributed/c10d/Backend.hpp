// c10d::Backend as torch 2.14 and 2.15 have it, for libraries that are compiled with the headers of 2.13 and
// loaded into one of the two: NPU_ONLY_IN is 214 or 215.
//
// It is found before torch's own header of this name, so all that includes that one sees this class: its
// virtual functions and members in the later torch's order. What only that one gives and takes is named, not
// defined. What a backend does not override says so when it is called. `wheelmill abi` compares the
// functions' places with the record of each.
#ifndef NPU_GLUE_DISTRIBUTED_LATER_TORCH_BACKEND_HPP_
#define NPU_GLUE_DISTRIBUTED_LATER_TORCH_BACKEND_HPP_

#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/PyObjectSlot.h>
#include <torch/csrc/distributed/c10d/debug.h>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <torch/csrc/distributed/c10d/Types.hpp>
#include <torch/csrc/distributed/c10d/Utils.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>

// NOLINTBEGIN(readability-identifier-naming): the names are torch's
constexpr auto kBackendDefaultTimeout = std::chrono::milliseconds(30 * 60 * 1000);

namespace c10d {

enum class ErrorType { SUCCESS = 0, TIMEOUT = 1, COMM_ERROR = 2, REMOTE_ERROR = 3 };

struct ReconfigureOptions;
struct CompletionHookArgs;

#define NPU_NOT_OVERRIDDEN                                                            \
  {                                                                                   \
    TORCH_CHECK(false, "backend ", getBackendName(), " does not support ", __func__); \
  }

class TORCH_API Backend : public torch::CustomClassHolder {
 public:
  struct TORCH_API Options : torch::CustomClassHolder {
    explicit Options(std::string name, std::chrono::milliseconds limit = kBackendDefaultTimeout)
        : timeout(limit), backend(std::move(name)) {}
    ~Options() override = default;
    Options(const Options&) = default;
    virtual c10::intrusive_ptr<Options> clone() const { return c10::make_intrusive<Options>(*this); }

    std::chrono::milliseconds timeout;
    const std::string backend;
    std::string group_name;
    std::string group_desc;
    std::vector<uint64_t> global_ranks_in_group;
    bool use_pg_for_symm_mem_rendezvous = false;
    bool enable_reconfigure = false;
  };

  using Tensors = std::vector<at::Tensor>;
  using TensorLists = std::vector<Tensors>;
  using WorkPointer = c10::intrusive_ptr<Work>;
  using OptionsPointer = c10::intrusive_ptr<Options>;
  using BackendPointer = c10::intrusive_ptr<Backend>;
  using StorePointer = c10::intrusive_ptr<Store>;
  using Splits = std::vector<int64_t>;
  using Milliseconds = std::chrono::milliseconds;

  explicit Backend(int rank, int size);
  ~Backend() override = 0;

  int getRank() const { return rank_; }
  int getSize() const { return size_; }
  int64_t getID() const { return reinterpret_cast<std::intptr_t>(this); }
  bool hasHooks() const { return onCompletionHook_ != nullptr; }
  const std::string& getGroupUid() const { return pg_uid_; }
  const std::string& getGroupDesc() const { return pg_desc_; }
  void setGroupDesc(const std::string& text) { pg_desc_ = text; }
  bool getUsePgForSymmMemRendezvous() const { return use_pg_for_symm_mem_rendezvous_; }
  void setUsePgForSymmMemRendezvous(bool value) { use_pg_for_symm_mem_rendezvous_ = value; }

  virtual bool supportsSplitting() const { return false; }
#if NPU_ONLY_IN >= 215
  // Of a backend that can be split: ours needs nothing of its parent's but the store.
  virtual bool isInitialized() { return true; }
#endif
  virtual bool supportsCoalescing() const { return false; }
  virtual bool supportsTimeEstimation() const { return false; }
#if NPU_ONLY_IN >= 215
  virtual void startTimeEstimate() NPU_NOT_OVERRIDDEN;
  virtual float endTimeEstimate() NPU_NOT_OVERRIDDEN;
#endif
  virtual bool supportsShrinking() const { return false; }
  virtual BackendPointer shrink(const Splits&, int, const OptionsPointer&) NPU_NOT_OVERRIDDEN;
  virtual void setTimeout(Milliseconds) NPU_NOT_OVERRIDDEN;
  virtual void addEphemeralTimeout(const Milliseconds&) {}
  virtual bool supportsReconfigure() const { return false; }
  virtual std::string get_reconfigure_handle() const NPU_NOT_OVERRIDDEN;
  virtual WorkPointer reconfigure(const ReconfigureOptions&) NPU_NOT_OVERRIDDEN;
  virtual bool supportsWindow() const { return false; }
  // It returns a pointer to a c10d::Window.
  virtual c10::intrusive_ptr<torch::CustomClassHolder> new_window(const std::optional<at::Tensor>&)
      NPU_NOT_OVERRIDDEN;
#if NPU_ONLY_IN >= 215
  virtual bool supportsAbortHooks() const { return false; }
#endif
  virtual void registerAbortHook(int64_t, std::function<void()>) NPU_NOT_OVERRIDDEN;
  virtual void unregisterAbortHook(int64_t) NPU_NOT_OVERRIDDEN;
#if NPU_ONLY_IN >= 215
  virtual bool supportsCompletionHooks() const { return false; }
  virtual void registerCompletionHook(int64_t,
                                      std::function<void(const CompletionHookArgs&)>) NPU_NOT_OVERRIDDEN;
  virtual void unregisterCompletionHook(int64_t) NPU_NOT_OVERRIDDEN;
#endif
  virtual void startCoalescing() NPU_NOT_OVERRIDDEN;
  virtual WorkPointer endCoalescing() NPU_NOT_OVERRIDDEN;
  virtual const std::string getBackendName() const = 0;
  virtual OptionsPointer getBackendOptions() NPU_NOT_OVERRIDDEN;

  virtual WorkPointer broadcast(Tensors&, const BroadcastOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer allreduce(Tensors&, const AllreduceOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer allreduce_sparse(Tensors&, const AllreduceOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer allreduce_coalesced(Tensors&, const AllreduceCoalescedOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer reduce(Tensors&, const ReduceOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer allgather(TensorLists&, Tensors&, const AllgatherOptions&) NPU_NOT_OVERRIDDEN;
  // From 2.14 on some operations are called by names of their own. Each has the old one behind it, which
  // backends have.
  virtual WorkPointer all_gather_single(at::Tensor& output, at::Tensor& input,
                                        const AllgatherOptions& options) {
    return _allgather_base(output, input, options);
  }
  virtual WorkPointer _allgather_base(at::Tensor&, at::Tensor&, const AllgatherOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer allgather_coalesced(TensorLists&, Tensors&, const AllgatherOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer all_gather_single_coalesced(Tensors& outputs, Tensors& inputs,
                                                  const AllgatherOptions& options) {
    return allgather_into_tensor_coalesced(outputs, inputs, options);
  }
  virtual WorkPointer allgather_into_tensor_coalesced(Tensors&, Tensors&,
                                                      const AllgatherOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer gather(TensorLists&, Tensors&, const GatherOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer gather_single(at::Tensor& output, at::Tensor& input, const GatherOptions& options) {
    return gather_into_tensor(output, input, options);
  }
  virtual WorkPointer gather_into_tensor(at::Tensor&, at::Tensor&, const GatherOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer scatter(Tensors&, TensorLists&, const ScatterOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer reduce_scatter(Tensors&, TensorLists&, const ReduceScatterOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer reduce_scatter_single(at::Tensor& output, at::Tensor& input,
                                            const ReduceScatterOptions& options) {
    return _reduce_scatter_base(output, input, options);
  }
  virtual WorkPointer _reduce_scatter_base(at::Tensor&, at::Tensor&,
                                           const ReduceScatterOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer reduce_scatter_single_coalesced(Tensors& outputs, Tensors& inputs,
                                                      const ReduceScatterOptions& options) {
    return reduce_scatter_tensor_coalesced(outputs, inputs, options);
  }
  virtual WorkPointer reduce_scatter_tensor_coalesced(Tensors&, Tensors&,
                                                      const ReduceScatterOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer all_to_all_single(at::Tensor& output, at::Tensor& input, Splits& output_splits,
                                        Splits& input_splits, const AllToAllOptions& options) {
    return alltoall_base(output, input, output_splits, input_splits, options);
  }
  virtual WorkPointer alltoall_base(at::Tensor&, at::Tensor&, Splits&, Splits&,
                                    const AllToAllOptions&) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer alltoall(Tensors&, Tensors&, const AllToAllOptions&) NPU_NOT_OVERRIDDEN;
  virtual void monitoredBarrier(const BarrierOptions&, bool) NPU_NOT_OVERRIDDEN;
  virtual void setSequenceNumberForGroup() {}
  virtual uint64_t getSequenceNumberForGroup() NPU_NOT_OVERRIDDEN;
  virtual WorkPointer send(Tensors&, int, int) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer recv(Tensors&, int, int) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer recvAnysource(Tensors&, int) NPU_NOT_OVERRIDDEN;
  virtual WorkPointer barrier(const BarrierOptions&) NPU_NOT_OVERRIDDEN;
  virtual void registerOnCompletionHook(std::function<void(std::shared_ptr<WorkInfo>)>&&) NPU_NOT_OVERRIDDEN;
  virtual void waitForPendingWorks() NPU_NOT_OVERRIDDEN;
  virtual void enableCollectivesTiming() NPU_NOT_OVERRIDDEN;
  virtual BackendPointer split(const StorePointer&, const std::vector<int>&,
                               const OptionsPointer&) NPU_NOT_OVERRIDDEN;
  virtual BackendPointer merge(const StorePointer&, const OptionsPointer&, const int&,
                               const int&) NPU_NOT_OVERRIDDEN;
  virtual void setGroupUid(const std::string& uid) { pg_uid_ = uid; }
  virtual std::optional<at::Device> getBoundDeviceId() const { return bound_device_id_; }
  virtual void eagerConnectSingleDevice(at::Device) {}
  virtual void setBoundDeviceId(std::optional<at::Device> device) {
    TORCH_CHECK(!device || device->has_index(), "a group is bound to a device with an index");
    bound_device_id_ = device;
  }
  virtual ErrorType getError() { return ErrorType::SUCCESS; }
  virtual std::shared_ptr<c10::Allocator> getMemAllocator() NPU_NOT_OVERRIDDEN;
  virtual at::Tensor allocateTensor(long, at::TensorOptions) NPU_NOT_OVERRIDDEN;
  virtual bool supportsTensorAlloc(c10::DeviceIndex) { return false; }
  virtual void abort() NPU_NOT_OVERRIDDEN;
  virtual void shutdown() NPU_NOT_OVERRIDDEN;
  virtual void suspend() NPU_NOT_OVERRIDDEN;
  virtual void resume() NPU_NOT_OVERRIDDEN;
  virtual std::unordered_map<std::string, uint64_t> getMemoryStats() NPU_NOT_OVERRIDDEN;

  // Python's object of a backend counts for it.
  void incref_pyobject() const noexcept final;
  void decref_pyobject() const noexcept final;
  bool try_incref_pyobject() const noexcept final;

 protected:
  void init();

  int rank_;
  int size_;
  DebugLevel dist_debug_level_;
  std::string pg_uid_;
  std::string pg_desc_;
  std::function<void(std::shared_ptr<WorkInfo>)> onCompletionHook_;
  std::optional<at::Device> bound_device_id_;
  bool use_pg_for_symm_mem_rendezvous_ = false;
  c10::impl::PyObjectSlot pyobj_slot_;
};

#undef NPU_NOT_OVERRIDDEN

}  // namespace c10d

namespace c10::detail {

template <class T>
struct TargetTraits<T, std::enable_if_t<std::is_base_of_v<c10d::Backend, std::remove_cv_t<T>>>> {
  static constexpr bool can_have_pyobject = true;
};

}  // namespace c10::detail
// NOLINTEND(readability-identifier-naming)

#endif  // NPU_GLUE_DISTRIBUTED_LATER_TORCH_BACKEND_HPP_
