#include "rank_table.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

namespace cann_simulator::hccl {
namespace {

constexpr int kDeepest = 32;

// What is wrong with a table. (The standard library's own exceptions take text in newer systems only.)
struct Problem {
  std::string text;
};

// A JSON value: scalars as their text, which is all that a rank table needs (it writes numbers as strings).
struct Json {
  std::string text;
  std::vector<Json> items;
  std::map<std::string, Json> members;
};

// Throws a Problem that says where the text stops being JSON.
class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  Json document() {
    Json value = parse(0);
    skip();
    if (at_ < text_.size()) fail("the end");
    return value;
  }

 private:
  [[noreturn]] void fail(const char* expected) const {
    std::size_t line = 1;
    for (std::size_t index = 0; index < at_; ++index) line += text_[index] == '\n' ? 1 : 0;
    throw Problem{"line " + std::to_string(line) + ": " + expected + " was expected"};
  }
  void skip() {
    while (at_ < text_.size() && std::string(" \t\r\n").find(text_[at_]) != std::string::npos) ++at_;
  }
  bool next_is(char wanted) {
    skip();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    const char text[] = {'\'', wanted, '\'', '\0'};
    if (!next_is(wanted)) fail(text);
  }

  Json parse(int depth) {
    if (depth > kDeepest) fail("less nesting");
    Json value;
    if (next_is('{')) {
      if (next_is('}')) return value;
      do {
        expect('"');
        std::string name = string();
        expect(':');
        value.members[std::move(name)] = parse(depth + 1);
      } while (next_is(','));
      expect('}');
    } else if (next_is('[')) {
      if (next_is(']')) return value;
      do {
        value.items.push_back(parse(depth + 1));
      } while (next_is(','));
      expect(']');
    } else if (next_is('"')) {
      value.text = string();
    } else {
      value.text = word();
    }
    return value;
  }

  // Behind the opening quote. Escapes are kept as they are: no name or address has any.
  std::string string() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) fail("'\"'");
    return std::string(text_.data() + begin, at_++ - begin);
  }
  // A number, true, false or null.
  std::string word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                  std::string("+-.").find(text_[at_]) != std::string::npos)) {
      ++at_;
    }
    if (at_ == begin) fail("a value");
    return std::string(text_.data() + begin, at_ - begin);
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

const Json& member(const Json& value, const char* name) {
  const auto found = value.members.find(name);
  if (found == value.members.end()) throw Problem{std::string("\"") + name + "\" is missing"};
  return found->second;
}

std::string read_file(const std::string& path) {
  std::string text;
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return text;
  char block[4096];
  std::size_t got = 0;
  while ((got = std::fread(block, 1, sizeof block, file)) > 0) text.append(block, got);
  std::fclose(file);
  return text;
}

void fill(const Json& document, RankTable* table) {
  std::map<unsigned long, std::string> ranks;
  std::set<std::string> servers;
  for (const Json& server : member(document, "server_list").items) {
    const bool has_address = server.members.count("host_ip") > 0;
    const std::string& address = member(server, has_address ? "host_ip" : "server_id").text;
    servers.insert(address);
    for (const Json& device : member(server, "device").items) {
      const std::string& rank = member(device, "rank_id").text;
      char* rest = nullptr;
      const unsigned long number = std::strtoul(rank.c_str(), &rest, 10);
      if (rank.empty() || *rest != '\0') throw Problem{"rank_id '" + rank + "' is no number"};
      if (!ranks.emplace(number, address).second) throw Problem{"rank_id " + rank + " comes twice"};
    }
  }
  if (ranks.empty()) throw Problem{"it has no ranks"};
  if (ranks.rbegin()->first != ranks.size() - 1) {
    throw Problem{"it has " + std::to_string(ranks.size()) + " ranks, and the last one is " +
                  std::to_string(ranks.rbegin()->first)};
  }
  for (const auto& rank : ranks) table->server_of_rank.push_back(rank.second);
  table->servers = servers.size();
}

}  // namespace

Result read_rank_table(const std::string& path, RankTable* table) {
  table->text = read_file(path);
  if (table->text.empty())
    return system_failure(HCCL_E_OPEN_FILE_FAILURE, "cannot read the rank table %s", path.c_str());
  try {
    fill(Parser(table->text).document(), table);
  } catch (const Problem& problem) {
    return failure(HCCL_E_PARA, "rank table %s: %s", path.c_str(), problem.text.c_str());
  }
  return {};
}

}  // namespace cann_simulator::hccl
