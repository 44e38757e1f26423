#include "server/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/json.h"
#include "server/log.h"

namespace kvasir::server {
namespace {

using ::testing::HasSubstr;

TEST(ParseKeyFile, ReadsNamesAndKeys) {
  const auto keys = ParseKeyFile("# keys\nalice secret-1\n\n  secret-22  # bob's\r\n", "f");
  ASSERT_TRUE(keys.has_value()) << keys.error().message;
  ASSERT_EQ(keys->size(), 2U);
  EXPECT_EQ((*keys)[0].name, "alice");
  EXPECT_EQ((*keys)[0].key, "secret-1");
  EXPECT_EQ((*keys)[1].name, "key2");
  EXPECT_EQ((*keys)[1].key, "secret-22");
}

TEST(ParseKeyFile, NamesTheLineAndNeverTheKey) {
  for (const char* text : {"x\na b c\n", "\nshort\n", "a secret-1\nb secret-1", "a secret-1\na secret-2"}) {
    const auto keys = ParseKeyFile(text, "keys.txt");
    ASSERT_FALSE(keys.has_value());
    EXPECT_THAT(keys.error().message, HasSubstr("keys.txt, line "));
    EXPECT_THAT(keys.error().message, Not(HasSubstr("secret")));
  }
  EXPECT_THAT(ParseKeyFile("# nothing\n", "k").error().message, HasSubstr("holds no key"));
}

TEST(ConstantTimeEqual, IsEquality) {
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
  for (const char* other : {"", "ab", "abd", "abcd", "Abc"}) EXPECT_FALSE(ConstantTimeEqual("abc", other));
  EXPECT_FALSE(ConstantTimeEqual(std::string_view("abc\0", 4), "abc"));
}

HttpRequest With(std::string name, std::string value) {
  HttpRequest request;
  request.headers = {{"host", "localhost:8080"}, {std::move(name), std::move(value)}};
  return request;
}

TEST(Access, TakesAKeyInThreeForms) {
  const Access access({.keys = {{"alice", "secret-1"}, {"bob", "secret-22"}}});
  EXPECT_EQ(access.CheckKey(With("authorization", "Bearer secret-1")), "alice");
  EXPECT_EQ(access.CheckKey(With("authorization", "bearer  secret-22")), "bob");
  EXPECT_EQ(access.CheckKey(With("x-api-key", "secret-22")), "bob");
  EXPECT_EQ(access.CheckKey(With("authorization", "Basic dXNlcjpzZWNyZXQtMQ==")), "alice");
  for (const char* value :
       {"", "Bearer", "Bearer ", "secret-1", "Bearer secret-", "Basic ", "Basic !", "Token secret-1"}) {
    const auto name = access.CheckKey(With("authorization", value));
    ASSERT_FALSE(name.has_value()) << value;
    EXPECT_EQ(name.error().status, 401);
  }
  EXPECT_EQ(Access({}).CheckKey(HttpRequest{}), "");
}

TEST(Access, KnowsThisMachine) {
  const Access access({.allowed_hosts = {"kvasir.test"}});
  for (const char* host : {"localhost", "localhost:1", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]",
                           "a.localhost", "kvasir.test:80"}) {
    HttpRequest request;
    request.headers = {{"host", host}};
    EXPECT_TRUE(access.CheckSource(request).has_value()) << host;
  }
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.1", "127.evil"}) {
    HttpRequest request;
    request.headers = {{"host", host}};
    ASSERT_FALSE(access.CheckSource(request).has_value()) << host;
    EXPECT_TRUE(Access({.loopback = false}).CheckSource(request).has_value());
  }
}

TEST(Access, LetsInOnlyPagesOfItsOwnOrAllowedOnes) {
  const Access access({.allowed_origins = {"https://good.example"}});
  EXPECT_TRUE(access.CheckSource(With("origin", "http://localhost:8080")).has_value());
  EXPECT_TRUE(access.CheckSource(With("origin", "https://good.example")).has_value());
  for (const char* origin :
       {"null", "http://localhost", "http://localhost:80801", "https://evil.example", "localhost:8080"}) {
    EXPECT_EQ(access.CheckSource(With("origin", origin)).error().status, 403) << origin;
  }
  EXPECT_TRUE(access.CorsHeaders(With("origin", "http://localhost:8080")).empty());
  EXPECT_EQ(access.CorsHeaders(With("origin", "https://good.example")).front().second, "https://good.example");
}

TEST(FormatLogLine, CannotBeForged) {
  const LogFields fields = {
      {"id", "a\nevent=login"}, {"plain", "x-1"}, {"quote", "a\"b"}, {"empty", ""}, {"byte", "\xff"}};
  const std::string text = FormatLogLine(LogFormat::kText, "T", "request", fields);
  EXPECT_EQ(text, R"(time=T event=request id="a\nevent=login" plain=x-1 quote="a\"b" empty="" byte="\ufffd")");
  const std::string json = FormatLogLine(LogFormat::kJson, "T", "request", fields);
  EXPECT_EQ(json.find('\n'), std::string::npos);
  EXPECT_EQ(Json::parse(json)["id"], "a\nevent=login");
}

}  // namespace
}  // namespace kvasir::server
