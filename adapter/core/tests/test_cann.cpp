// Finding CANN: where it is looked for, what is said when it is not there, its symbols and errors.
#include "support.h"

namespace {

std::string home_folder(const char* name) { return std::string(std::getenv("NPU_TEST_HOMES")) + "/" + name; }

npu_cann_info cann_in(const std::string& home, npu_status expected) {
  setenv("ASCEND_HOME_PATH", home.c_str(), 1);
  npu_cann_info info;
  CHECK_EQUAL(npu_cann(&info), expected);
  return info;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

TEST_CASE(missing_cann_is_a_state) {
  const npu_cann_info info = cann_in("", NPU_ERR_NO_CANN);
  CHECK_MESSAGE("source <CANN>/set_env.sh");
  CHECK_MESSAGE("cann-simulator run");
  CHECK_MESSAGE("libascendcl.so");
  CHECK_EQUAL(info.loaded, 0);
  CHECK_EQUAL(info.simulated, 0);
  CHECK(std::string(info.version).empty() && std::string(info.library).empty() &&
        std::string(info.home).empty());
  int32_t count = -1;
  CHECK_OK(npu_device_count(&count));
  CHECK_EQUAL(count, 0);
  CHECK_EQUAL(npu_is_initialized(), 0);
  CHECK_EQUAL(npu_current_device(), 0);
  CHECK(npu_find_symbol("aclInit") == nullptr);
}

TEST_CASE(missing_cann_fails_at_first_use) {
  cann_in("", NPU_ERR_NO_CANN);
  CHECK_EQUAL(npu_init(), NPU_ERR_NO_CANN);
  CHECK_MESSAGE("set_env.sh");
  CHECK_EQUAL(npu_set_device(1), NPU_ERR_NO_CANN);
  CHECK_EQUAL(npu_current_device(), 0);
  int pointed = 0;
  void* pointer = &pointed;
  CHECK_EQUAL(npu_malloc(0, 0, 16, &pointer), NPU_ERR_NO_CANN);
  CHECK(pointer == nullptr);
  CHECK_EQUAL(npu_missing_symbol("aclnnAdd"), NPU_ERR_NO_CANN);
  // Asking about memory is no use of the device.
  CHECK_EQUAL(memory_stats().reserved_bytes.peak, 0);
  CHECK_OK(npu_empty_cache(-1));
  npu_shutdown();
}

TEST_CASE(home_leads_to_the_library) {
  setenv("CANN_SIMULATOR_CANN", "7.0.RC1", 1);
  const npu_cann_info info = cann_in(home_folder("simulator"), NPU_OK);
  CHECK_EQUAL(info.loaded, 1);
  CHECK_EQUAL(info.simulated, 1);
  CHECK(std::string(info.version) == "7.0.RC1");
  CHECK(std::string(info.library) == home_folder("simulator") + "/lib64/libascendcl.so");
  CHECK(std::string(info.home) == home_folder("simulator"));
  CHECK_EQUAL(npu_is_initialized(), 0);
}

TEST_CASE(toolkit_home_is_the_second_choice) {
  setenv("ASCEND_TOOLKIT_HOME", home_folder("simulator").c_str(), 1);
  const npu_cann_info info = cann_in("", NPU_OK);
  CHECK(std::string(info.home) == home_folder("simulator"));
}

TEST_CASE(search_path_leads_to_the_library) {
  npu_cann_info info;
  CHECK_OK(npu_cann(&info));
  CHECK(ends_with(info.library, "/libascendcl.so"));
  CHECK(std::string(info.home).empty());
  CHECK(std::string(info.version) == "8.0.RC2");
}

TEST_CASE(incomplete_cann_is_named_with_its_version) {
  const npu_cann_info info = cann_in(home_folder("incomplete"), NPU_ERR_NO_CANN);
  CHECK_MESSAGE("'aclInit'");
  CHECK_MESSAGE("(CANN 7.0.RC1)");
  CHECK_MESSAGE(home_folder("incomplete").c_str());
  CHECK_EQUAL(info.loaded, 0);
  CHECK(std::string(info.version) == "7.0.RC1");
}

TEST_CASE(version_is_read_from_the_configuration_too) {
  const npu_cann_info info = cann_in(home_folder("configured"), NPU_ERR_NO_CANN);
  CHECK(std::string(info.version) == "8.0.RC2");
}

// The library comes from a folder that tells no version.
TEST_CASE(version_of_home_is_the_last_resort) {
  const npu_cann_info info = cann_in(home_folder("configured"), NPU_ERR_NO_CANN);
  CHECK(std::string(info.library) == home_folder("bare") + "/lib64/libascendcl.so");
  CHECK(std::string(info.version) == "8.0.RC2");
}

TEST_CASE(symbols_come_from_all_libraries) {
  CHECK(npu_find_symbol("aclCreateTensor") != nullptr);  // libnnopbase
  CHECK(npu_find_symbol("aclrtMalloc") != nullptr);      // libascendcl
  CHECK(npu_find_symbol("aclnnNoSuchOperator") == nullptr);
  CHECK_EQUAL(npu_missing_symbol("aclnnNoSuchOperator"), NPU_ERR_MISSING_SYMBOL);
  CHECK_MESSAGE("'aclnnNoSuchOperator'");
  npu_cann_info info;
  CHECK_OK(npu_cann(&info));
  CHECK_MESSAGE((std::string("CANN ") + info.version).c_str());
}

TEST_CASE(cann_errors_carry_call_code_and_text) {
  CHECK_OK(npu_init());
  CHECK_OK(npu_check_acl(0, "aclrtFree"));
  int on_the_host = 0;
  const int code = CANN(aclrtFree, static_cast<void*>(&on_the_host));
  CHECK(code != 0);
  CHECK_EQUAL(npu_check_acl(code, "aclrtFree"), NPU_ERR_ACL);
  CHECK_MESSAGE(("aclrtFree failed with " + std::to_string(code) + ": ").c_str());
  CHECK(std::strstr(npu_last_error(), "no further message") == nullptr);
}

TEST_CASE(no_device_is_told_apart_from_no_cann) {
  setenv("ASCEND_RT_VISIBLE_DEVICES", "", 1);
  int32_t count = -1;
  CHECK_OK(npu_device_count(&count));
  CHECK_EQUAL(count, 0);
  CHECK_EQUAL(npu_init(), NPU_ERR_NO_DEVICE);
  CHECK_MESSAGE("ASCEND_RT_VISIBLE_DEVICES");
}
