// What an extension may call is visible in libtorch_npu.so.
#pragma once

#define C10_NPU_EXPORT __attribute__((__visibility__("default")))
#define C10_NPU_IMPORT C10_NPU_EXPORT
#define C10_NPU_API C10_NPU_EXPORT
#define TORCH_NPU_API C10_NPU_EXPORT

// CANN's own header where it is installed; these names are all that is needed of it otherwise.
#if __has_include(<acl/acl.h>)
#include <acl/acl.h>
#else
typedef int aclError;
typedef void* aclrtStream;
typedef void* aclrtEvent;
#endif
