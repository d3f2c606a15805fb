// --check: what no event orders is reported, whatever order the threads happened to take; what one orders is
// not.
#include <cstring>

#include "check.h"
#include "children.h"
#include "kernels.h"

namespace {

constexpr int kRaces = 66;  // exit code of a program that had some

struct Program {
  aclrtStream first = nullptr;
  aclrtStream second = nullptr;
  aclrtEvent event = nullptr;
  char* memory = nullptr;

  Program() {
    CHECK_OK(aclInit(nullptr));
    CHECK_OK(aclrtSetDevice(0));
    CHECK_OK(aclrtCreateStream(&first));
    CHECK_OK(aclrtCreateStream(&second));
    CHECK_OK(aclrtCreateEvent(&event));
    void* pointer = nullptr;
    CHECK_OK(aclrtMalloc(&pointer, 4096, ACL_MEM_MALLOC_HUGE_FIRST));
    memory = static_cast<char*>(pointer);
  }
  cann_simulator_range read(std::size_t begin = 0, std::size_t size = 4096) const {
    return {memory + begin, size, false};
  }
  cann_simulator_range write(std::size_t begin = 0, std::size_t size = 4096) const {
    return {memory + begin, size, true};
  }
};

// Runs the body with --check; what it reported. It exits with 66 exactly when it reported something.
template <class Body>
std::string reported(bool races, Body body) {
  std::string output;
  with(
      "CANN_SIMULATOR_CHECK", "report",
      [&] {
        Program program;
        body(program);
        CHECK_OK(aclrtSynchronizeDevice());
      },
      races ? kRaces : 0, &output);
  return output;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

TEST_CASE(a_read_beside_a_write_is_a_race) {
  const std::string output = reported(true, [](Program& program) {
    CHECK_OK(launch(program.first, "aclnnAdd", {program.write(0, 1024)}));
    CHECK_OK(launch(program.second, "aclnnMul", {program.read(512, 1024)}));
    CHECK_OK(launch(program.second, "aclnnMul", {program.read(512, 1024)}));  // said once
  });
  CHECK(has(output, "aclnnMul on stream 1 reads what aclnnAdd on stream 0 writes"));
  CHECK(output.find("aclnnMul on stream 1") == output.rfind("aclnnMul on stream 1"));
  CHECK(has(output, "found 2 races"));
}

TEST_CASE(order_by_an_event_is_no_race) {
  CHECK(reported(false, [](Program& program) {
          CHECK_OK(launch(program.first, "aclnnAdd", {program.write()}));
          CHECK_OK(aclrtRecordEvent(program.event, program.first));
          CHECK_OK(aclrtStreamWaitEvent(program.second, program.event));
          CHECK_OK(launch(program.second, "aclnnMul", {program.read()}));
        }).empty());
}

TEST_CASE(an_event_orders_only_what_came_before_it) {
  const std::string output = reported(true, [](Program& program) {
    CHECK_OK(aclrtRecordEvent(program.event, program.first));
    CHECK_OK(launch(program.first, "aclnnAdd", {program.write()}));
    CHECK_OK(aclrtStreamWaitEvent(program.second, program.event));
    CHECK_OK(launch(program.second, "aclnnMul", {program.write()}));
  });
  CHECK(has(output, "aclnnMul on stream 1 writes what aclnnAdd on stream 0 writes"));
}

TEST_CASE(order_through_the_host_is_no_race) {
  CHECK(reported(false, [](Program& program) {
          CHECK_OK(launch(program.first, "aclnnAdd", {program.write()}));
          CHECK_OK(aclrtSynchronizeStream(program.first));
          CHECK_OK(launch(program.second, "aclnnMul", {program.write()}));
          CHECK_OK(aclrtRecordEvent(program.event, program.second));
          CHECK_OK(aclrtSynchronizeEvent(program.event));
          CHECK_OK(aclrtMemset(program.memory, 4096, 0, 4096));
          CHECK_OK(launch(program.first, "aclnnSub", {program.read()}));
        }).empty());
}

TEST_CASE(reads_side_by_side_are_no_race_and_a_later_write_is) {
  const std::string output = reported(true, [](Program& program) {
    CHECK_OK(launch(program.first, "aclnnAdd", {program.read()}));
    CHECK_OK(launch(program.second, "aclnnMul", {program.read()}));
    CHECK_OK(launch(program.second, "aclnnFill", {program.write(100, 1)}));
  });
  CHECK(has(output, "aclnnFill on stream 1 writes what aclnnAdd on stream 0 reads"));
  CHECK(!has(output, "aclnnMul on"));
}

TEST_CASE(neighbors_are_no_race) {
  CHECK(reported(false, [](Program& program) {
          CHECK_OK(launch(program.first, "aclnnAdd", {program.write(0, 100), program.write(200, 100)}));
          CHECK_OK(launch(program.second, "aclnnMul", {program.write(100, 100), program.write(300, 100)}));
        }).empty());
}

TEST_CASE(a_synchronous_copy_does_not_wait_for_streams) {
  const std::string output = reported(true, [](Program& program) {
    static char host[4096];
    CHECK_OK(launch(program.first, "aclnnAdd", {program.write()}));
    CHECK_OK(aclrtMemcpy(host, 4096, program.memory, 4096, ACL_MEMCPY_DEVICE_TO_HOST));
  });
  CHECK(has(output, "copy on the host reads what aclnnAdd on stream 0 writes"));
}

TEST_CASE(freeing_memory_in_use_is_a_race_and_its_address_starts_anew) {
  const std::string output = reported(true, [](Program& program) {
    CHECK_OK(launch(program.first, "aclnnAdd", {program.write()}));
    CHECK_OK(aclrtFree(program.memory));
    void* again = nullptr;
    CHECK_OK(aclrtMalloc(&again, 4096, ACL_MEM_MALLOC_HUGE_FIRST));
    CHECK(again == program.memory);
    CHECK_OK(launch(program.second, "aclnnMul", {program.write()}));
  });
  CHECK(has(output, "freeing it on the host writes what aclnnAdd on stream 0 writes"));
  CHECK(has(output, "found 1 races"));
}

TEST_CASE(in_error_mode_the_launch_fails) {
  with("CANN_SIMULATOR_CHECK", "error", [] {
    Program program;
    CHECK_OK(launch(program.first, "aclnnAdd", {program.write()}));
    CHECK_FAILS(launch(program.second, "aclnnMul", {program.read()}), ACL_ERROR_RT_PARAM_INVALID,
                "no event or synchronization orders them");
    _exit(0);  // its races are known
  });
}

TEST_CASE(without_check_nobody_looks) {
  Program program;
  CHECK(!cann_simulator_checking());
  CHECK_OK(launch(program.first, "aclnnAdd", {program.write()}));
  CHECK_OK(launch(program.second, "aclnnMul", {program.write()}));
  CHECK_OK(aclFinalize());
}

}  // namespace

int main(int argc, char** argv) { return test::run(argc, argv); }
