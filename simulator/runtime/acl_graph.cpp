// Graphs: captures cannot be begun here, so every stream truthfully answers that none is going on, which is
// what adapters ask at every allocation.
#include <utility>

#include "process.h"

using namespace cann_simulator;

extern "C" {

aclError aclmdlRICaptureBegin(aclrtStream stream, aclmdlRICaptureMode mode) {
  return entry(__func__, [=]() -> Status {
    (void)stream;
    (void)mode;
    return lacking(
        ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
        "the CANN simulator captures no graphs; run the operators one by one, without torch.npu.graph "
        "or the npugraphs backend");
  });
}

aclError aclmdlRICaptureGetInfo(aclrtStream handle, aclmdlRICaptureStatus* status, aclmdlRI* model_ri) {
  return entry(__func__, [=]() -> Status {
    if (status == nullptr) return null_argument("status");
    std::shared_ptr<Stream> stream;
    if (Status found = Process::instance().stream(handle, &stream); !found.ok()) return found;
    *status = ACL_MODEL_RI_CAPTURE_STATUS_NONE;
    if (model_ri != nullptr) *model_ri = nullptr;
    return {};
  });
}

aclError aclmdlRICaptureThreadExchangeMode(aclmdlRICaptureMode* mode) {
  return entry(__func__, [=]() -> Status {
    thread_local aclmdlRICaptureMode of_thread = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;
    if (mode == nullptr) return null_argument("mode");
    if (*mode < ACL_MODEL_RI_CAPTURE_MODE_GLOBAL || *mode > ACL_MODEL_RI_CAPTURE_MODE_RELAXED) {
      return failure(ACL_ERROR_INVALID_PARAM, "capture mode %d does not exist", *mode);
    }
    std::swap(of_thread, *mode);
    return {};
  });
}

}  // extern "C"
