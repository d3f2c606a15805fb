#include "trial.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <unistd.h>

#include "cann_simulator/threads.h"

namespace cann_simulator {

// at::set_num_threads also sets what threads that start later get, so a thread that ends at once sets it
// back.
void compute_alone() {
  static std::mutex mutex;  // who asks in between would take 1 for the program's own number
  thread_local bool prepared = false;
  if (prepared) return;
  prepared = true;
  const std::lock_guard<std::mutex> lock(mutex);
  const int threads_of_program = at::get_num_threads();
  at::set_num_threads(1);
  Thread restoring;
  if (restoring.start([=] { at::set_num_threads(threads_of_program); }) == 0) restoring.join();
}

namespace {

void run_in(const Operator& operation, void (*kernel)(Frame&), const std::vector<Value>& values,
            Frame::Place place, Widening widening, cann_simulator_meeting* meeting = nullptr) {
  Frame frame(values, operation.parameters, place, widening, meeting);
  kernel(frame);
  frame.require_shapes_kept();
  if (place == Frame::Place::kMemory) frame.store_wide();
}

void check(const Operator& operation, const std::vector<Value>& values, Widening widening) {
  if (operation.check == nullptr) return;
  Silent silent;  // a check resizes outputs that do not fit; the refusal says so, no warning need to
  const WarningGuard no_warnings(&silent);
  const PlainDispatch plain;
  run_in(operation, operation.check, values, Frame::Place::kMeta, widening);
}

template <class V, class Function>
void each_view(V& value, const Function& function) {
  if (auto* view = std::get_if<TensorView>(&value)) function(*view);
  if (auto* list = std::get_if<ViewList>(&value)) {
    for (auto& view : *list) {
      if (view) function(*view);
    }
  }
}

template <class Function>
void each_scalar(const Value& value, const Function& function) {
  if (const auto* scalar = std::get_if<at::Scalar>(&value)) function(*scalar);
  if (const auto* list = std::get_if<std::vector<at::Scalar>>(&value)) {
    for (const at::Scalar& scalar : *list) function(scalar);
  }
}

// Takes the place of the device's memory: zeros of the host. What is only read of them costs no memory.
class StandIns {
 public:
  explicit StandIns(std::vector<Value> values) : values_(std::move(values)) {
    for (Value& value : values_) each_view(value, [this](TensorView& view) { replace(view); });
  }
  const std::vector<Value>& values() const { return values_; }
  // All elements become `number` again.
  void fill(int64_t number) {
    for (Value& value : values_) each_view(value, [number](TensorView& view) { fill_view(view, number); });
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  void replace(TensorView& view) {
    memory_.emplace_back(std::calloc(std::max<std::size_t>(view.bytes, 1), 1));
    view.readable = memory_.back().get();
    if (view.readable == nullptr) throw std::bad_alloc();
    view.view_shape = std::make_shared<ViewShape>();  // a trial says nothing of the caller's result
  }

  static void fill_view(const TensorView& view, int64_t number) {
    const auto item = c10::elementSize(view.dtype);
    const at::ScalarType dtype = item == 1 ? at::kByte : view.dtype;  // not all types of 8 bits can be filled
    at::from_blob(view.readable, {static_cast<int64_t>(view.bytes / item)}, at::TensorOptions().dtype(dtype))
        .fill_(number);
  }

  std::vector<Value> values_;
  std::vector<std::unique_ptr<void, Free>> memory_;
};

// The thread in which the program's threads try kernels, one after the other: how many CPU threads they have
// and what they have switched on is no concern of a trial. It never ends, and is never taken down.
class TrialThread {
 public:
  // A forked process has none of its parent's threads.
  static TrialThread& of_this_process() {
    static std::mutex mutex;
    static TrialThread* thread = nullptr;
    static pid_t owner = 0;
    const std::lock_guard<std::mutex> lock(mutex);
    if (owner != getpid()) {
      auto started = std::make_unique<TrialThread>();
      started->start();
      thread = started.release();
      owner = getpid();
    }
    return *thread;
  }

  // Throws what the body throws.
  void run(const std::function<void()>& body) {
    const std::lock_guard<std::mutex> turn(turns_);
    std::unique_lock<std::mutex> lock(mutex_);
    body_ = &body;
    changed_.notify_all();
    changed_.wait(lock, [this] { return body_ == nullptr; });
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  void start() {
    if (const int code = thread_.start([this] { serve(); }); code != 0) {
      throw Refusal{ACLNN_ERR_INNER, std::string("no thread to try it in: ") + std::strerror(code)};
    }
  }

  void serve() {
    compute_alone();
    Silent silent;  // what a kernel warns of, it warns of when it runs
    const WarningGuard no_warnings(&silent);
    const PlainDispatch plain;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return body_ != nullptr; });
      try {
        (*body_)();
      } catch (...) {
        failure_ = std::current_exception();
      }
      body_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex turns_, mutex_;
  Condition changed_;
  const std::function<void()>* body_ = nullptr;
  std::exception_ptr failure_;
  Thread thread_;
};

// Every way to see the values that differs from the others, the plain one first. bfloat16 with complex
// numbers has only wide ones: torch 2.14 computes it in a complex type of two bfloat16, which CANN has not.
std::vector<Widening> ways(const std::vector<Value>& values) {
  bool half = false, brain = false, complex = false, integers = false;
  const auto note = [&](at::ScalarType dtype) {
    half = half || dtype == at::kHalf;
    brain = brain || dtype == at::kBFloat16;
    complex = complex || c10::isComplexType(dtype);
    integers = integers || dtype == at::kInt;
  };
  for (const Value& value : values) {
    each_view(value, [&note](const TensorView& view) { note(view.dtype); });
    each_scalar(value, [&complex](const at::Scalar& scalar) { complex = complex || scalar.isComplex(); });
    if (const auto* dtype = std::get_if<at::ScalarType>(&value)) note(*dtype);
  }
  std::vector<Widening> different;
  for (const bool floats : {false, true}) {
    if (floats ? !(half || brain) : brain && complex) continue;
    different.push_back({floats, false});
    if (integers) different.push_back({floats, true});
  }
  return different;
}

// Zeros first: they are right for indices. Ones are for what zeros are wrong for, such as a divisor. Types
// and shapes with which neither can be computed are refused.
Widening try_all(const Operator& operation, const std::vector<Value>& values) {
  StandIns stand_ins(values);
  std::exception_ptr first;
  for (const int64_t number : {0, 1}) {
    for (const Widening widening : ways(values)) {
      if (first) stand_ins.fill(number);
      try {
        check(operation, values, widening);
        run_in(operation, operation.trial, stand_ins.values(), Frame::Place::kMemory, widening);
        return widening;
      } catch (const c10::Error&) {
        if (!first) first = std::current_exception();
      }
    }
  }
  std::rethrow_exception(first);
}

// What came out before, for keys that append_key and append_trial_key make.
class Outcomes {
 public:
  const Widening* find(const std::string& key) const {
    const auto found = outcomes_.find(key);
    return found == outcomes_.end() ? nullptr : &found->second;
  }
  void add(const std::string& key, Widening outcome) {
    constexpr std::size_t kMost = 4096;
    if (outcomes_.size() >= kMost) outcomes_.clear();
    outcomes_.emplace(key, outcome);
  }

 private:
  std::unordered_map<std::string, Widening> outcomes_;
};

void make_key(const Operator& operation, const std::vector<Value>& values,
              void (*append)(const Value&, std::string*), std::string* key) {
  const Operator* const identity = &operation;
  key->assign(reinterpret_cast<const char*>(&identity), sizeof identity);
  for (std::size_t index = 0; index < values.size(); ++index) {
    if (!is_random_state(operation.parameters[index])) append(values[index], key);
  }
}

// What torch's CPU kernels say when they lack a type or take it in one operand only; nothing was computed.
bool wants_wider_type(const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  return message.find("Half") != std::string::npos || message.find("BFloat16") != std::string::npos;
}

}  // namespace

Widening tried(const Operator& operation, const std::vector<Value>& values) {
  thread_local Outcomes checked, computed;
  thread_local std::string key, trial_key;
  make_key(operation, values, append_key, &key);
  if (const Widening* known = checked.find(key)) return *known;

  make_key(operation, values, append_trial_key, &trial_key);
  Widening outcome;
  if (const Widening* known = computed.find(trial_key)) {
    outcome = *known;
    check(operation, values, outcome);
  } else {
    TrialThread::of_this_process().run([&] { outcome = try_all(operation, values); });
    computed.add(trial_key, outcome);
  }
  checked.add(key, outcome);
  return outcome;
}

// Zeros may have taken another way through torch than numbers do, and so have met no lack of a type.
void compute(const Operator& operation, const std::vector<Value>& values, Widening widening,
             cann_simulator_meeting* meeting) {
  try {
    run_in(operation, operation.run, values, Frame::Place::kMemory, widening, meeting);
  } catch (const c10::Error& error) {
    // What was sent once is not sent again.
    if (meeting != nullptr || widening.floats || !wants_wider_type(error)) throw;
    run_in(operation, operation.run, values, Frame::Place::kMemory, {true, widening.integers});
  }
}

}  // namespace cann_simulator
