#include "ending.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "cann_simulator/threads.h"
#include "process.h"
#include "races.h"
#include "refusals.h"

namespace cann_simulator {
namespace {

// Beside what a shell, Python and sanitizers give.
constexpr int kRaces = 66;
constexpr int kRefusals = 67;

void summarize(int status, void*) {
  if (forked_after_use()) return;  // what there was is the parent's
  const bool ends_well = status == 0;
  std::fflush(nullptr);
  const bool refused = Refusals::instance().summarize(ends_well, kRefusals);
  const bool raced = ends_well && Races::instance().summarize(kRaces);
  if (ends_well && (raced || refused)) _exit(raced ? kRaces : kRefusals);
}

// Drops what nobody can see, once nothing has been asked of the devices for the time that is set. A program
// may go on while it ends: what it asks for then counts from there.
class Deadline {
 public:
  static Deadline& instance() {
    static Deadline* const deadline = new Deadline;
    return *deadline;
  }

  void begin() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Config* config = nullptr;
    if (begun_ || !Process::instance().config(&config).ok()) return;
    begun_ = true;
    const std::int32_t milliseconds = config->drain_seconds * 1000;
    if (thread_.start([this, milliseconds] { watch(milliseconds); }) != 0) begun_ = false;
  }

  // The streams have ended.
  void end() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void watch(std::int32_t milliseconds) {
    std::unique_lock<std::mutex> lock(mutex_);
    std::uint64_t asked = 0;
    do {
      asked = Stream::asked();
      if (changed_.wait_for(lock, milliseconds, [this] { return over_; })) return;
    } while (Stream::asked() != asked);
    const std::uint64_t dropped = Process::instance().drop_unneeded();
    if (dropped == 0) return;
    std::fprintf(
        stderr,
        "cann-simulator: the program has ended; %llu tasks whose results nobody can see any more were "
        "skipped after %d s (CANN_SIMULATOR_DRAIN)\n",
        static_cast<unsigned long long>(dropped), milliseconds / 1000);
  }

  std::mutex mutex_;
  Condition changed_;
  bool begun_ = false;
  bool over_ = false;
  Thread thread_;
};

}  // namespace

void begin_ending() {
  if (!forked_after_use()) Deadline::instance().begin();
}

void finish_ending() {
  if (!forked_after_use()) Deadline::instance().end();
}

namespace {

// Python's C interface as far as it is needed: its functions are looked up in the program, and objects are
// never looked into. The layout of the table's entry is part of Python's stable ABI.
struct PythonMethod {
  const char* name;
  void* (*function)(void* self, void* arguments);
  int flags;
  const char* doc;
};

template <class Function>
Function python(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

void* python_ends(void*, void*) {
  begin_ending();
  return python<void* (*)(const char*, ...)>("Py_BuildValue")("");
}

// Registers the above with Python's atexit. Called by Python, on its main thread.
int register_end(void*) {
  static PythonMethod method = {"cann_simulator_end", python_ends, 0x4 /* METH_NOARGS */, nullptr};
  const auto import = python<void* (*)(const char*)>("PyImport_ImportModule");
  const auto create = python<void* (*)(PythonMethod*, void*, void*)>("PyCFunction_NewEx");
  const auto call = python<void* (*)(void*, const char*, const char*, ...)>("PyObject_CallMethod");
  const auto forget = python<void (*)(void*)>("Py_DecRef");
  const auto clear = python<void (*)()>("PyErr_Clear");
  if (import == nullptr || create == nullptr || call == nullptr || forget == nullptr || clear == nullptr)
    return 0;
  void* const module = import("atexit");
  void* const function = create(&method, nullptr, nullptr);
  void* const done =
      module != nullptr && function != nullptr ? call(module, "register", "O", function) : nullptr;
  if (done == nullptr) clear();
  for (void* object : {module, function, done}) {
    if (object != nullptr) forget(object);
  }
  return 0;
}

}  // namespace

void watch_python() {
  static std::once_flag once;
  std::call_once(once, [] {
    const auto running = python<int (*)()>("Py_IsInitialized");
    // Needs none of Python's locks here: the call comes when Python gets round to it.
    const auto later = python<int (*)(int (*)(void*), void*)>("Py_AddPendingCall");
    if (running != nullptr && later != nullptr && running() != 0) later(register_end, nullptr);
  });
}

void watch_end() {
  static const int registered = on_exit(summarize, nullptr);
  if (registered != 0) throw std::bad_alloc();
}

}  // namespace cann_simulator
