// The frame itself: a failed check ends the program, wherever it stands. CTest expects each case to fail.
#include <thread>

#define TEST_LAST_MESSAGE() "what CANN said"
#include "testing/cases.h"

TEST_CASE(a_condition_that_is_false) { CHECK(test::cases().empty()); }
TEST_CASE(numbers_that_differ) { CHECK_EQUAL(1 + 1, 3); }
TEST_CASE(a_message_that_says_something_else) { CHECK_MESSAGE("what nobody said"); }
TEST_CASE(a_check_in_a_thread) {
  std::thread([] { CHECK_OK(7); }).join();
}

int main(int argc, char** argv) { return test::run(argc, argv); }
