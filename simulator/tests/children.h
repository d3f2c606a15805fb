// Cases that need a process of their own: the environment is read once.
#ifndef CANN_SIMULATOR_TESTS_CHILDREN_H_
#define CANN_SIMULATOR_TESTS_CHILDREN_H_

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "check.h"

// Runs the body in a child, with the variable set; what the child printed on stderr, when `output` is given.
// The child must end with `expected`.
template <class Body>
void with(const char* name, const char* value, Body body, int expected = 0, std::string* output = nullptr) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    if (output != nullptr) dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    setenv(name, value, 1);
    body();
    std::exit(0);
  }
  close(ends[1]);
  char text[4096];
  for (ssize_t size; output != nullptr && (size = read(ends[0], text, sizeof text)) > 0;)
    output->append(text, static_cast<std::size_t>(size));
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  if (output != nullptr && (!WIFEXITED(status) || WEXITSTATUS(status) != expected))
    std::fputs(output->c_str(), stderr);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

#endif  // CANN_SIMULATOR_TESTS_CHILDREN_H_
