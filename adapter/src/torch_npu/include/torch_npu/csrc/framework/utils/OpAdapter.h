// The header that extensions for NPUs include for operators of their own.
#pragma once

#include <ATen/ATen.h>

#include "torch_npu/csrc/core/npu/NPUFormat.h"
#include "torch_npu/csrc/core/npu/NPUFunctions.h"
#include "torch_npu/csrc/framework/OpCommand.h"
