#include "races.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

namespace cann_simulator {
namespace {

void join(Clock* clock, const Clock& other) {
  for (const auto& [stream, time] : other) {
    std::uint64_t& mine = (*clock)[stream];
    mine = std::max(mine, time);
  }
}

std::string place(int stream) {
  return stream == Races::kHost ? std::string("the host") : "stream " + std::to_string(stream);
}

}  // namespace

Races& Races::instance() {
  static Races* const races = new Races;
  return *races;
}

void Races::begin(CheckMode mode) {
  const std::lock_guard<std::mutex> lock(mutex_);
  mode_ = mode;
  on_ = mode != CheckMode::kOff;
  segments_.clear();  // the clocks stay: events that were recorded before hold their times
  reported_.clear();
}

std::vector<std::string> Races::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  found_ = 0;
  reported_.clear();
  return std::exchange(texts_, {});
}

bool Races::summarize(int exit_code) const {
  const std::uint64_t found = found_.load();
  if (found == 0) return false;
  std::fprintf(stderr, "cann-simulator: --check found %llu races; exit code %d\n",
               static_cast<unsigned long long>(found), exit_code);
  return true;
}

Status Races::access(int stream, const char* name, const std::vector<cann_simulator_range>& ranges) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Clock& clock = clocks_[stream];
  if (stream != kHost) join(&clock, clocks_[kHost]);  // it is queued after all that the host has seen
  const Access access{stream, ++clock[stream], name};
  for (const cann_simulator_range& range : ranges) {
    if (range.size > 0) check(access, clock, range);
  }
  return take_race();
}

Status Races::freed(const void* pointer, std::size_t size) {
  Status status = access(kHost, "freeing it", {{pointer, size, true}});
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto begin = reinterpret_cast<std::uintptr_t>(pointer);
  const auto first = isolate(begin, begin + size);
  segments_.erase(first, segments_.lower_bound(begin + size));
  return status;
}

Clock Races::recorded(int stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Clock& clock = clocks_[stream];
  join(&clock, clocks_[kHost]);
  return clock;
}

void Races::stream_waited(int stream, const Clock& event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  join(&clocks_[stream], event);
}

void Races::host_waited(const Clock& event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  join(&clocks_[kHost], event);
}

void Races::split(std::uintptr_t address) {
  auto next = segments_.upper_bound(address);
  if (next == segments_.begin()) return;
  auto segment = std::prev(next);
  if (segment->first == address || segment->second.end <= address) return;
  Segment rest = segment->second;
  segment->second.end = address;
  segments_.emplace_hint(next, address, std::move(rest));
}

Races::Segments::iterator Races::isolate(std::uintptr_t begin, std::uintptr_t end) {
  split(begin);
  split(end);
  for (std::uintptr_t at = begin; at < end;) {  // fill the holes
    const auto next = segments_.lower_bound(at);
    if (next != segments_.end() && next->first == at) {
      at = next->second.end;
      continue;
    }
    const std::uintptr_t until = next == segments_.end() ? end : std::min(end, next->first);
    segments_.emplace_hint(next, at, Segment{until, {}, {}});
    at = until;
  }
  return segments_.lower_bound(begin);
}

void Races::check(const Access& access, const Clock& clock, const cann_simulator_range& range) {
  const auto before = [&](const Access& earlier) {
    const auto known = clock.find(earlier.stream);
    return earlier.stream == access.stream || (known != clock.end() && known->second >= earlier.time);
  };
  const auto begin = reinterpret_cast<std::uintptr_t>(range.pointer);
  const std::uintptr_t end = begin + range.size;
  for (auto segment = isolate(begin, end); segment != segments_.end() && segment->first < end; ++segment) {
    Segment& history = segment->second;
    if (history.write.name != nullptr && !before(history.write)) {
      conflict(history.write, true, access, range.written, segment->first, history.end);
    }
    if (range.written) {
      for (const Access& read : history.reads) {
        if (!before(read)) conflict(read, false, access, true, segment->first, history.end);
      }
      history.write = access;
      history.reads.clear();
      continue;
    }
    const auto same = std::find_if(history.reads.begin(), history.reads.end(),
                                   [&](const Access& read) { return read.stream == access.stream; });
    if (same != history.reads.end()) {
      *same = access;
    } else {
      history.reads.push_back(access);
    }
  }
}

void Races::conflict(const Access& first, bool first_wrote, const Access& second, bool second_writes,
                     std::uintptr_t begin, std::uintptr_t end) {
  ++found_;
  char range[64];
  std::snprintf(range, sizeof range, "[0x%llx, 0x%llx)", static_cast<unsigned long long>(begin),
                static_cast<unsigned long long>(end));
  const std::string text = std::string("race on device memory ") + range + ": " + second.name + " on " +
                           place(second.stream) + (second_writes ? " writes" : " reads") + " what " +
                           first.name + " on " + place(first.stream) + (first_wrote ? " writes" : " reads") +
                           ", and no event or synchronization orders them";
  if (race_.empty()) race_ = text;
  if (!reported_.emplace(first.name, second.name).second) return;
  texts_.push_back(text);
  if (mode_ == CheckMode::kReport) std::fprintf(stderr, "cann-simulator: %s\n", text.c_str());
}

Status Races::take_race() {
  const std::string race = std::exchange(race_, std::string());
  if (race.empty() || mode_ == CheckMode::kReport) return {};
  return {ACL_ERROR_RT_PARAM_INVALID, race};
}

}  // namespace cann_simulator
