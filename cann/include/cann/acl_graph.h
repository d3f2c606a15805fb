// Capturing what streams are given as a graph (libascendcl). The rules of acl.h hold.
#ifndef CANN_ACL_GRAPH_H_
#define CANN_ACL_GRAPH_H_

#include "cann/acl.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void* aclmdlRI;
typedef enum {
  ACL_MODEL_RI_CAPTURE_MODE_GLOBAL = 0,
  ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL = 1,
  ACL_MODEL_RI_CAPTURE_MODE_RELAXED = 2,
} aclmdlRICaptureMode;
typedef enum {
  ACL_MODEL_RI_CAPTURE_STATUS_NONE = 0,
  ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE = 1,
  ACL_MODEL_RI_CAPTURE_STATUS_INVALIDATED = 2,
} aclmdlRICaptureStatus;

aclError aclmdlRICaptureBegin(aclrtStream stream, aclmdlRICaptureMode mode);
aclError aclmdlRICaptureGetInfo(aclrtStream stream, aclmdlRICaptureStatus* status, aclmdlRI* modelRI);
aclError aclmdlRICaptureThreadExchangeMode(
    aclmdlRICaptureMode* mode);  // what the thread had, for what it gets

#ifdef __cplusplus
}
#endif
#endif  // CANN_ACL_GRAPH_H_
