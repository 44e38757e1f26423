#include "server/tools/python_literal.h"

#include <gtest/gtest.h>

namespace kvasir::server {
namespace {

std::string Read(std::string_view text) {
  const auto value = ReadPythonLiteral(text);
  return value ? DumpJson(*value) : "nothing";
}

TEST(PythonLiteral, BecomesJson) {
  EXPECT_EQ(Read("True"), "true");
  EXPECT_EQ(Read(" None "), "null");
  EXPECT_EQ(Read("-1.5"), "-1.5");
  EXPECT_EQ(Read("'it\\'s \\u00e9 \\x41'"), "\"it's é A\"");
  EXPECT_EQ(Read(R"("\ud83d\ude42")"), "\"🙂\"");
  EXPECT_EQ(Read("[1, (2, 3,), {'a': [], \"b\": False}]"), R"([1,[2,3],{"a":[],"b":false}])");
}

TEST(PythonLiteral, WhatIsNoneIsNothing) {
  for (const char* text : {"", "x", "[1", "{'a' 1}", "{1: 2}", "'open", "1 2", "f(1)", R"('\ud800')", "'\\x4'"}) {
    EXPECT_EQ(Read(text), "nothing") << text;
  }
  EXPECT_EQ(Read(std::string(40, '[') + std::string(40, ']')), "nothing");
}

TEST(PythonLiteral, WhatIsWrittenIsReadBack) {
  const Json value = {{"a", {1, 2.5, true, nullptr, "q\"'\n"}}, {"b", {{"c", false}}}};
  EXPECT_EQ(ReadPythonLiteral(WritePythonLiteral(value)), value);
}

}  // namespace
}  // namespace kvasir::server
