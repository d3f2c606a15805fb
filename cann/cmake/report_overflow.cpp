// c10::report_overflow, which torch's headers call where a number does not fit.
//
// Up to 2.14 a library of torch's has it, from 2.15 on the headers do. A build for an earlier torch that is
// to load into 2.15 brings its own, hidden: it throws what torch's throws, and is asked of nobody.
#include <stdexcept>
#include <string>

namespace c10 {

[[noreturn]] __attribute__((visibility("hidden"))) void report_overflow(const char* name);
void report_overflow(const char* name) {
  throw std::runtime_error("value cannot be converted to type " + std::string(name) + " without overflow");
}

}  // namespace c10
