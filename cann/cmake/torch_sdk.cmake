# Finds the torch SDK, checks that it is the one asked for, and defines the imported target torch_sdk.
#
# In:  TORCH_SDK (else the torch of the environment that runs the build), TORCH_VERSION (else what the SDK says),
#      TORCH_CXX11_ABI (else what libc10 was built with).
# Out: the same three, and the interface library torch_sdk: headers, -D_GLIBCXX_USE_CXX11_ABI, NPU_TORCH
#      (major * 100 + minor), libtorch_cpu and libc10 by path.

function(_torch_sdk_of_environment result)
  execute_process(
    COMMAND "${Python3_EXECUTABLE}" -c
            "import os, sysconfig; print(os.path.join(sysconfig.get_path('purelib'), 'torch'))"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  if(NOT EXISTS "${found}/include/ATen/core/Tensor.h")
    message(FATAL_ERROR
      "The glue is built against torch, and none was given or found in ${found}.\n"
      "Install torch into the Python that builds (pip install torch==X.Y.Z), or pass -DTORCH_SDK=<folder with "
      "torch's include/ and lib/>, for example an unzipped torch wheel's torch/ folder.")
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# The version as the headers have it; torch moved the file between 2.7 and 2.9.
function(_torch_sdk_version sdk result)
  foreach(header "torch/headeronly/version.h" "torch/csrc/api/include/torch/version.h")
    if(EXISTS "${sdk}/include/${header}")
      file(STRINGS "${sdk}/include/${header}" lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
      string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
      list(LENGTH numbers count)
      if(count EQUAL 3)
        list(JOIN numbers "." version)
        set(${result} "${version}" PARENT_SCOPE)
        return()
      endif()
    endif()
  endforeach()
  message(FATAL_ERROR "${sdk} does not say its version in include/torch/version.h; is it torch's folder?")
endfunction()

# Which std::string the SDK's libraries were compiled with, read from a symbol that takes one.
function(_torch_sdk_cxx11_abi sdk result)
  file(STRINGS "${sdk}/lib/libc10.so" new_abi LIMIT_COUNT 1 REGEX "_ZN3c106detail14torchCheckFail.*RKNSt7__cxx11")
  if(new_abi)
    set(${result} 1 PARENT_SCOPE)
  else()
    set(${result} 0 PARENT_SCOPE)
  endif()
endfunction()

if(NOT TORCH_SDK AND DEFINED ENV{TORCH_SDK})
  set(TORCH_SDK "$ENV{TORCH_SDK}")
endif()
if(NOT TORCH_SDK)
  _torch_sdk_of_environment(TORCH_SDK)
endif()
get_filename_component(TORCH_SDK "${TORCH_SDK}" ABSOLUTE)

foreach(file include/ATen/core/Tensor.h include/ATen/ops lib/libtorch_cpu.so lib/libc10.so)
  if(NOT EXISTS "${TORCH_SDK}/${file}")
    message(FATAL_ERROR "TORCH_SDK=${TORCH_SDK} is no torch SDK: it has no ${file}.\n"
                        "Give the torch/ folder of an installed or unzipped torch wheel.")
  endif()
endforeach()

_torch_sdk_version("${TORCH_SDK}" _torch_found)
if(TORCH_VERSION AND NOT TORCH_VERSION VERSION_EQUAL _torch_found)
  message(FATAL_ERROR "TORCH_VERSION=${TORCH_VERSION} was asked for, but TORCH_SDK=${TORCH_SDK} is torch "
                      "${_torch_found}.\nGive the SDK of torch ${TORCH_VERSION}, or ask for ${_torch_found}.")
endif()
set(TORCH_VERSION "${_torch_found}")
if(TORCH_VERSION VERSION_LESS 1.11)
  message(FATAL_ERROR "torch ${TORCH_VERSION} lacks interfaces of the glue (such as headers per operator), which needs "
                      "1.11 or later.\nGive the SDK of a later torch.")
endif()
if("${TORCH_CXX11_ABI}" STREQUAL "")
  _torch_sdk_cxx11_abi("${TORCH_SDK}" TORCH_CXX11_ABI)
endif()
message(STATUS "torch ${TORCH_VERSION} in ${TORCH_SDK}, libstdc++ ABI ${TORCH_CXX11_ABI}")

string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" _torch_match "${TORCH_VERSION}")
math(EXPR _torch_number "${CMAKE_MATCH_1} * 100 + ${CMAKE_MATCH_2}")

add_library(torch_sdk INTERFACE)
target_include_directories(torch_sdk SYSTEM INTERFACE
  "${TORCH_SDK}/include" "${TORCH_SDK}/include/torch/csrc/api/include")
target_compile_definitions(torch_sdk INTERFACE
  "_GLIBCXX_USE_CXX11_ABI=${TORCH_CXX11_ABI}" "NPU_TORCH=${_torch_number}" AT_PER_OPERATOR_HEADERS)
target_sources(torch_sdk INTERFACE "${CMAKE_CURRENT_LIST_DIR}/string_streams.cpp")
if(_torch_number EQUAL 213)  # this build serves 2.15 too
  target_sources(torch_sdk INTERFACE "${CMAKE_CURRENT_LIST_DIR}/report_overflow.cpp")
endif()
# torch's own dependencies (OpenMP, MKL, CUDA) are not part of an SDK: they need not resolve here.
target_link_libraries(torch_sdk INTERFACE
  -Wl,--no-as-needed "${TORCH_SDK}/lib/libtorch_cpu.so" "${TORCH_SDK}/lib/libc10.so" -Wl,--as-needed)
target_link_options(torch_sdk INTERFACE -Wl,--allow-shlib-undefined -Wl,-z,defs)
