// The default constructors of string streams, which the messages of torch's headers are made with.
//
// Since GCC 9 libstdc++ has them (GLIBCXX_3.4.26), and code that a newer compiler does not inline asks for
// them: no manylinux platform up to 2_28 could load it. Made here, hidden, they are asked of nobody.
#include <sstream>

namespace std {
template __attribute__((visibility("hidden"))) basic_istringstream<char>::basic_istringstream();
template __attribute__((visibility("hidden"))) basic_ostringstream<char>::basic_ostringstream();
template __attribute__((visibility("hidden"))) basic_stringstream<char>::basic_stringstream();
}  // namespace std
