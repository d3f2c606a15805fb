// The environment decides what is simulated. Each case is a process of its own: it is read once.
#include <cstdlib>
#include <cstring>
#include <string>

#include "cann_simulator/runtime.h"
#include "check.h"
#include "children.h"

namespace {

uint32_t device_count() {
  uint32_t count = 0;
  CHECK_OK(aclrtGetDeviceCount(&count));
  return count;
}

TEST_CASE(devices_are_as_many_as_asked_for) {
  with("CANN_SIMULATOR_DEVICES", "8", [] {
    CHECK(device_count() == 8);
    CHECK_OK(aclInit(nullptr));
    CHECK_OK(aclrtSetDevice(7));
  });
  for (const char* nonsense : {"0", "65", "two", "2x", "-1", "99999999999999999999999"}) {
    with("CANN_SIMULATOR_DEVICES", nonsense, [=] {
      uint32_t count = 0;
      CHECK_FAILS(aclrtGetDeviceCount(&count), ACL_ERROR_INVALID_PARAM, nonsense);
      CHECK_FAILS(aclInit(nullptr), ACL_ERROR_INVALID_PARAM, "CANN_SIMULATOR_DEVICES");
    });
  }
}

TEST_CASE(visible_devices_end_at_the_first_that_is_none) {
  const std::pair<const char*, uint32_t> cases[] = {{"1", 1}, {"1,0", 2}, {"0,0", 1},   {"0,5,1", 1},
                                                    {"x", 0}, {"", 0},    {" 1 , 0", 2}};
  for (const auto& [value, expected] : cases) {
    const uint32_t count = expected;
    with("ASCEND_RT_VISIBLE_DEVICES", value, [=] { CHECK(device_count() == count); });
  }
}

// A program may choose after it has loaded an adapter, which asks for a name or a version by then.
TEST_CASE(visible_devices_are_read_with_the_first_question_about_a_device) {
  with("ASCEND_RT_VISIBLE_DEVICES", "0,1", [] {
    CHECK(std::strcmp(aclrtGetSocName(), "Ascend910B1") == 0);
    CHECK(std::strcmp(cann_simulator_version(), "9.1.0") == 0);
    setenv("ASCEND_RT_VISIBLE_DEVICES", "1", 1);
    CHECK(device_count() == 1);
    setenv("ASCEND_RT_VISIBLE_DEVICES", "0,1", 1);
    CHECK(device_count() == 1);
    CHECK_OK(aclInit(nullptr));
    CHECK_FAILS(aclrtSetDevice(1), ACL_ERROR_RT_INVALID_DEVICEID, "this process sees 1");
  });
}

TEST_CASE(memory_is_as_large_as_asked_for) {
  const std::pair<const char*, std::size_t> cases[] = {
      {"1048576", std::size_t{1} << 20}, {"16M", std::size_t{16} << 20}, {"3g", std::size_t{3} << 30}};
  for (const auto& [value, expected] : cases) {
    const std::size_t size = expected;
    with("CANN_SIMULATOR_MEMORY", value, [=] {
      std::size_t free = 0;
      std::size_t total = 0;
      CHECK_OK(aclInit(nullptr));
      CHECK_OK(aclrtSetDevice(0));
      CHECK_OK(aclrtGetMemInfo(ACL_HBM_MEM, &free, &total));
      CHECK(free == size && total == size);
    });
  }
  for (const char* nonsense :
       {"1", "1023K", "2T", "64Q", "M", "1.5G", "-1G", "18446744073709551616", "99999999T"}) {
    with("CANN_SIMULATOR_MEMORY", nonsense,
         [=] { CHECK_FAILS(aclInit(nullptr), ACL_ERROR_INVALID_PARAM, "CANN_SIMULATOR_MEMORY"); });
  }
}

TEST_CASE(names_and_versions_are_as_asked_for) {
  with("CANN_SIMULATOR_SOC", "Ascend310P3",
       [] { CHECK(std::strcmp(aclrtGetSocName(), "Ascend310P3") == 0); });
  with("CANN_SIMULATOR_CANN", "7.0.RC1", [] {
    CHECK(std::strcmp(cann_simulator_version(), "7.0.RC1") == 0);
    aclCANNPackageVersion version;
    CHECK_OK(aclsysGetCANNVersion(ACL_PKG_NAME_CANN, &version));
    CHECK(std::strcmp(version.version, "7.0.RC1") == 0);
    CHECK(std::strcmp(version.majorVersion, "7") == 0);
    CHECK(std::strcmp(version.minorVersion, "0") == 0);
    CHECK(std::strcmp(version.releaseVersion, "RC1") == 0);
  });
}

TEST_CASE(faults_and_checks_that_make_no_sense_are_refused) {
  for (const char* nonsense : {"oom", "oom@", "oom@0", "oom@x", "oom=3", "copy@3", "copy=0", "copy=fast",
                               "oom@1,", "oom@+", "oom@1++", "device@1+", "melt@2"}) {
    with("CANN_SIMULATOR_FAULT", nonsense,
         [=] { CHECK_FAILS(aclInit(nullptr), ACL_ERROR_INVALID_PARAM, "oom@N, oom@N+, device@N, hang@N"); });
  }
  with("CANN_SIMULATOR_CHECK", "yes",
       [] { CHECK_FAILS(aclInit(nullptr), ACL_ERROR_INVALID_PARAM, "report or error"); });
}

}  // namespace

int main(int argc, char** argv) { return test::run(argc, argv); }
