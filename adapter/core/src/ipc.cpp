// Device memory that processes share: exported allocations and imported ones, each counted.
#include <map>
#include <mutex>
#include <string>

#include "binding.h"
#include "loader.h"
#include "pointer_table.h"

namespace npu {
namespace {

struct Export {
  std::string key;
  int32_t count;
};

struct Import {
  void* start;
  int32_t count;
};

struct Shared {
  std::mutex mutex;  // also over CANN's calls, which keep the newest import of a key only
  std::map<void*, Export> exports;
  std::map<std::string, Import> imports;
};

Shared& shared() {
  // Leaked: storages are freed until the very end of the process.
  static Shared* all = new Shared;
  return *all;
}

npu_status check_key(const char* key, const char* call) {
  if (key != nullptr && std::char_traits<char>::length(key) < NPU_IPC_KEY_BYTES) return NPU_OK;
  return fail(NPU_ERR_BAD_ARGUMENT, "%s: the key is %s", call, key == nullptr ? "NULL" : "too long");
}

// CANN learns no process numbers here: the receiver is not known when a tensor is put into a queue.
npu_status export_segment(const Segment& segment, std::string* key) {
  if (acl().aclrtIpcMemGetExportKey == nullptr) return npu_missing_symbol("aclrtIpcMemGetExportKey");
  char text[NPU_IPC_KEY_BYTES] = "";
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtIpcMemGetExportKey, segment.address, segment.size, text, sizeof(text),
                              ACL_RT_IPC_MEM_EXPORT_FLAG_DISABLE_PID_VALIDATION));
  *key = text;
  return NPU_OK;
}

npu_status ipc_export(const void* pointer, char* key, size_t* offset) {
  if (key == nullptr || offset == nullptr)
    return fail(NPU_ERR_BAD_ARGUMENT, "npu_ipc_export: key or offset is NULL");
  NPU_RETURN_IF_ERROR(check_usable());
  Segment segment{};
  if (!segment_of_address(pointer, &segment)) {
    return fail(NPU_ERR_BAD_ARGUMENT,
                "only memory that this process allocated itself can be sent to another process");
  }
  NPU_ON_DEVICE(device_of_address(pointer));
  const std::lock_guard<std::mutex> lock(shared().mutex);
  auto found = shared().exports.find(segment.address);
  if (found == shared().exports.end()) {
    std::string made;
    NPU_RETURN_IF_ERROR(export_segment(segment, &made));
    found = shared().exports.emplace(segment.address, Export{made, 0}).first;
  }
  ++found->second.count;
  found->second.key.copy(key, NPU_IPC_KEY_BYTES - 1);
  key[found->second.key.size()] = '\0';
  *offset = static_cast<size_t>(static_cast<const char*>(pointer) - segment.address);
  return NPU_OK;
}

npu_status ipc_withdraw(const char* key) {
  NPU_RETURN_IF_ERROR(check_key(key, "npu_ipc_withdraw"));
  NPU_RETURN_IF_ERROR(check_usable());
  const std::lock_guard<std::mutex> lock(shared().mutex);
  auto& exports = shared().exports;
  for (auto item = exports.begin(); item != exports.end(); ++item) {
    if (item->second.key != key) continue;
    if (--item->second.count > 0) return NPU_OK;
    const int32_t device = device_of_address(item->first);
    exports.erase(item);
    NPU_ON_DEVICE(device);
    return NPU_ACL(aclrtIpcMemClose, key);
  }
  return fail(NPU_ERR_BAD_ARGUMENT, "npu_ipc_withdraw: this process exported nothing as '%s'", key);
}

npu_status ipc_import(int32_t device, const char* key, void** start) {
  if (start == nullptr) return fail(NPU_ERR_BAD_ARGUMENT, "npu_ipc_import: start is NULL");
  NPU_RETURN_IF_ERROR(check_key(key, "npu_ipc_import"));
  NPU_RETURN_IF_ERROR(ensure_ready(device));
  if (acl().aclrtIpcMemImportByKey == nullptr) return npu_missing_symbol("aclrtIpcMemImportByKey");
  NPU_ON_DEVICE(device);
  const std::lock_guard<std::mutex> lock(shared().mutex);
  const auto found = shared().imports.find(key);
  if (found != shared().imports.end()) {
    ++found->second.count;
    *start = found->second.start;
    return NPU_OK;
  }
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtIpcMemImportByKey, start, key, 0));
  shared().imports.emplace(key, Import{*start, 1});
  return NPU_OK;
}

npu_status ipc_close(int32_t device, const char* key) {
  NPU_RETURN_IF_ERROR(check_key(key, "npu_ipc_close"));
  NPU_RETURN_IF_ERROR(check_usable());
  NPU_ON_DEVICE(device);
  NPU_RETURN_IF_ERROR(NPU_ACL(aclrtSynchronizeDevice));
  const std::lock_guard<std::mutex> lock(shared().mutex);
  const auto found = shared().imports.find(key);
  if (found == shared().imports.end())
    return fail(NPU_ERR_BAD_ARGUMENT, "npu_ipc_close: this process imported nothing as '%s'", key);
  if (--found->second.count > 0) return NPU_OK;
  shared().imports.erase(found);
  return NPU_ACL(aclrtIpcMemClose, key);
}

}  // namespace
}  // namespace npu

extern "C" {

npu_status npu_ipc_export(const void* pointer, char key[NPU_IPC_KEY_BYTES], size_t* offset) {
  return npu::guarded([&] { return npu::ipc_export(pointer, key, offset); });
}

npu_status npu_ipc_withdraw(const char* key) {
  return npu::guarded([&] { return npu::ipc_withdraw(key); });
}

npu_status npu_ipc_import(int32_t device, const char* key, void** start) {
  return npu::guarded([&] { return npu::ipc_import(device, key, start); });
}

npu_status npu_ipc_close(int32_t device, const char* key) {
  return npu::guarded([&] { return npu::ipc_close(device, key); });
}

}  // extern "C"
