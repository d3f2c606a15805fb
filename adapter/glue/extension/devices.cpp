// Devices, streams and events under the C++ names that extensions call (src/torch_npu/include).
#include "compat.h"
#if NPU_HAS_EXTENSIONS

#include <c10/core/impl/VirtualGuardImpl.h>

#include <mutex>
#include <unordered_map>

#include "cann/acl.h"
#include "runtime/device.h"
#include "torch_npu/csrc/core/npu/NPUEvent.h"

namespace c10_npu {

using npu::check;

namespace {

c10::DeviceIndex or_current(c10::DeviceIndex index) { return index < 0 ? npu::current_device() : index; }

NPUStream named(c10::DeviceIndex device, int64_t id) {
  const c10::Device place(npu::kType, device);
  return NPUStream(NPUStream::UNCHECKED, c10::Stream(c10::Stream::UNSAFE, place, id));
}

// An extension's event has room for CANN's handle only; the core's event, which knows when it may be
// destroyed, is found by it.
class Events {
 public:
  aclrtEvent add(npu_event* event) {
    void* handle = npu_event_handle(event);
    const std::lock_guard<std::mutex> lock(mutex_);
    events_[handle] = event;
    return handle;
  }
  npu_event* find(aclrtEvent handle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return events_.at(handle);
  }
  npu_event* take(aclrtEvent handle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    npu_event* event = events_.at(handle);
    events_.erase(handle);
    return event;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<void*, npu_event*> events_;
};

Events& events() {
  static Events* instance = new Events;  // leaked: extensions destroy events until the very end
  return *instance;
}

}  // namespace

// ---- devices

c10::DeviceIndex device_count() noexcept {
  int32_t count = 0;
  npu_device_count(&count);  // a missing CANN counts as no devices
  return static_cast<c10::DeviceIndex>(count);
}

c10::DeviceIndex device_count_ensure_non_zero() {
  const c10::DeviceIndex count = npu::device_count();
  if (count == 0) check(npu_init());  // says why there is none
  TORCH_CHECK(count > 0, "No NPUs are available");
  return count;
}

c10::DeviceIndex current_device() { return npu::current_device(); }
void set_device(c10::DeviceIndex device) { check(npu_set_device(device)); }

int ExchangeDevice(int device) {
  const int before = npu_current_device();
  if (device >= 0 && device != before) check(npu_set_device(device));
  return before;
}

void device_synchronize() { check(npu_synchronize_device(npu_current_device())); }

void stream_synchronize(aclrtStream stream) {
  check(npu_init());
  void* symbol = npu_find_symbol("aclrtSynchronizeStream");
  if (symbol == nullptr) check(npu_missing_symbol("aclrtSynchronizeStream"));
  const auto synchronize = reinterpret_cast<decltype(&aclrtSynchronizeStream)>(symbol);
  check(npu_check_acl(synchronize(stream), "aclrtSynchronizeStream"));
}

aclError GetDevice(int32_t* device) {
  *device = npu_current_device();
  return ACL_SUCCESS;
}

aclError SetDevice(c10::DeviceIndex device) {
  const npu_status status = npu_set_device(device);
  if (status == NPU_OK) return ACL_SUCCESS;
  return status == NPU_ERR_BAD_DEVICE ? ACL_ERROR_RT_INVALID_DEVICEID : ACL_ERROR_RT_INTERNAL_ERROR;
}

// ---- streams

NPUStream::NPUStream(c10::Stream stream) : stream_(stream) {
  TORCH_CHECK(stream.device_type() == npu::kType, "NPUStream: expected a stream of an npu, but got one of ",
              stream.device());
}

aclrtStream NPUStream::stream() const {
  void* handle = nullptr;
  check(npu_stream_handle(stream_.device_index(), stream_.id(), &handle));
  return handle;
}

aclrtStream NPUStream::stream(bool) const { return stream(); }

bool NPUStream::query() const {
  int32_t done = 0;
  check(npu_stream_query(stream_.device_index(), stream_.id(), &done));
  return done != 0;
}

void NPUStream::synchronize() const { check(npu_stream_synchronize(stream_.device_index(), stream_.id())); }
void NPUStream::validate() const { stream(); }
bool NPUStream::isSyncLaunchStream() const { return false; }

NPUStream getCurrentNPUStream(c10::DeviceIndex device_index) {
  const c10::DeviceIndex device = or_current(device_index);
  return named(device, npu_current_stream(device));
}

NPUStream getDefaultNPUStream(c10::DeviceIndex device_index) { return named(or_current(device_index), 0); }
NPUStream getNPUStreamFromPool(c10::DeviceIndex device) { return getStreamFromPool(false, device); }

NPUStream getStreamFromPool(bool is_high_priority, c10::DeviceIndex device_index) {
  const c10::DeviceIndex device = or_current(device_index);
  int64_t id = 0;
  check(npu_stream_from_pool(device, is_high_priority, &id));
  return named(device, id);
}

void setCurrentNPUStream(NPUStream stream) { npu_set_current_stream(stream.device_index(), stream.id()); }

bool npuSynchronizeDevice(bool check_error) {
  const npu_status status = npu_synchronize_device(npu_current_device());
  if (check_error) check(status);
  return status == NPU_OK;
}

// ---- events

NPUEvent::NPUEvent() : NPUEvent(ACL_EVENT_SYNC) {}
NPUEvent::NPUEvent(unsigned int flags) : flags_(flags) {}
NPUEvent::~NPUEvent() {
  if (is_created_) npu_event_destroy(events().take(event_));
}
NPUEvent::NPUEvent(NPUEvent&& other) : flags_(other.flags_) { moveHelper(std::move(other)); }
NPUEvent& NPUEvent::operator=(NPUEvent&& other) {
  if (this != &other) moveHelper(std::move(other));
  return *this;
}

void NPUEvent::moveHelper(NPUEvent&& other) {
  std::swap(flags_, other.flags_);
  std::swap(is_created_, other.is_created_);
  std::swap(was_recorded_, other.was_recorded_);
  std::swap(device_index_, other.device_index_);
  std::swap(event_, other.event_);
}

void NPUEvent::createEvent(c10::DeviceIndex device_index) {
  npu_event* created = nullptr;
  check(npu_event_create(device_index, (flags_ & ACL_EVENT_TIME_LINE) != 0, &created));
  device_index_ = device_index;
  event_ = events().add(created);
  is_created_ = true;
}

void NPUEvent::record() { record(getCurrentNPUStream()); }

void NPUEvent::recordOnce(const NPUStream& stream) {
  if (!was_recorded_) record(stream);
}

void NPUEvent::record(const NPUStream& stream) {
  if (!is_created_) createEvent(stream.device_index());
  TORCH_CHECK(device_index_ == stream.device_index(), "NPUEvent: an event of npu:", int{device_index_},
              " cannot be recorded on a stream of npu:", int{stream.device_index()});
  check(npu_event_record(events().find(event_), stream.id()));
  was_recorded_ = true;
}

void NPUEvent::block(const NPUStream& stream) {
  if (is_created_) check(npu_event_block(events().find(event_), stream.device_index(), stream.id()));
}

bool NPUEvent::query() const {
  if (!is_created_) return true;
  int32_t done = 0;
  check(npu_event_query(events().find(event_), &done));
  return done != 0;
}

float NPUEvent::elapsed_time(const NPUEvent& other) const {
  TORCH_CHECK(was_recorded_ && other.was_recorded_,
              "NPUEvent: record both events before asking for the time");
  double milliseconds = 0;
  check(npu_event_elapsed_ms(events().find(event_), events().find(other.event_), &milliseconds));
  return static_cast<float>(milliseconds);
}

void NPUEvent::synchronize() const {
  if (is_created_) check(npu_event_synchronize(events().find(event_)));
}

// ---- the guard that headers of the published package call by name; this adapter's use the registered one

namespace impl {

struct C10_NPU_API NPUGuardImpl final : public c10::impl::DeviceGuardImplInterface {
  explicit NPUGuardImpl(c10::DeviceType type);
  c10::DeviceType type() const override;
  c10::Device exchangeDevice(c10::Device device) const override;
  c10::Device getDevice() const override;
  void setDevice(c10::Device device) const override;
  void uncheckedSetDevice(c10::Device device) const noexcept override;
  c10::Stream getStream(c10::Device device) const NPU_GUARD_NOEXCEPT override;
  c10::Stream getDefaultStream(c10::Device device) const override;
  c10::Stream exchangeStream(c10::Stream stream) const NPU_GUARD_NOEXCEPT override;
  c10::DeviceIndex deviceCount() const noexcept override;
};

namespace {
const c10::impl::VirtualGuardImpl& registered() {
  static const c10::impl::VirtualGuardImpl guard(npu::kType);
  return guard;
}
}  // namespace

NPUGuardImpl::NPUGuardImpl(c10::DeviceType type) {
  TORCH_CHECK(type == npu::kType, "NPUGuard: expected an npu, but got ", c10::DeviceTypeName(type, true));
}
c10::DeviceType NPUGuardImpl::type() const { return npu::kType; }
c10::Device NPUGuardImpl::exchangeDevice(c10::Device device) const {
  return registered().exchangeDevice(device);
}
c10::Device NPUGuardImpl::getDevice() const { return registered().getDevice(); }
void NPUGuardImpl::setDevice(c10::Device device) const { registered().setDevice(device); }
void NPUGuardImpl::uncheckedSetDevice(c10::Device device) const noexcept {
  registered().uncheckedSetDevice(device);
}
c10::Stream NPUGuardImpl::getStream(c10::Device device) const NPU_GUARD_NOEXCEPT {
  return registered().getStream(device);
}
c10::Stream NPUGuardImpl::getDefaultStream(c10::Device device) const {
  return registered().getDefaultStream(device);
}
c10::Stream NPUGuardImpl::exchangeStream(c10::Stream stream) const NPU_GUARD_NOEXCEPT {
  return registered().exchangeStream(stream);
}
c10::DeviceIndex NPUGuardImpl::deviceCount() const noexcept { return device_count(); }

}  // namespace impl
}  // namespace c10_npu

#endif  // NPU_HAS_EXTENSIONS
