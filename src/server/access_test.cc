#include "server/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/exchange.h"
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

TEST(ParseKeyFile, ReadsTheGreatestPriority) {
  const auto keys =
      ParseKeyFile("alice secret-1 priority=10\nsecret-22 priority=1000000 # key2\ncarol secret-3\n", "f");
  ASSERT_TRUE(keys.has_value()) << keys.error().message;
  ASSERT_EQ(keys->size(), 3U);
  EXPECT_EQ((*keys)[0].max_priority, 10);
  EXPECT_EQ((*keys)[1].name, "key2");
  EXPECT_EQ((*keys)[1].key, "secret-22");
  EXPECT_EQ((*keys)[1].max_priority, 1'000'000);
  EXPECT_EQ((*keys)[2].max_priority, 0);
  EXPECT_EQ(ParseKeyFile("priority=secret", "f")->front().key, "priority=secret")
      << "the first word is a key or a name";
}

TEST(ParseKeyFile, NamesTheLineAndNeverTheKey) {
  for (const char* text :
       {"x\na b c\n", "\nshort\n", "a secret-1\nb secret-1", "a secret-1\na secret-2", "a secret-1 priority=-1",
        "a secret-1 priority=", "a secret-1 priority=1x", "a secret-1 priority=1000001", "a secret-1 10"}) {
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
  const auto name_of = [&](const HttpRequest& request) { return (*access.CheckKey(request))->name; };
  EXPECT_EQ(name_of(With("authorization", "Bearer secret-1")), "alice");
  EXPECT_EQ(name_of(With("authorization", "bearer  secret-22")), "bob");
  EXPECT_EQ(name_of(With("x-api-key", "secret-22")), "bob");
  EXPECT_EQ(name_of(With("authorization", "Basic dXNlcjpzZWNyZXQtMQ==")), "alice");
  for (const char* value :
       {"", "Bearer", "Bearer ", "secret-1", "Bearer secret-", "Basic ", "Basic !", "Token secret-1"}) {
    const auto name = access.CheckKey(With("authorization", value));
    ASSERT_FALSE(name.has_value()) << value;
    EXPECT_EQ(name.error().status, 401);
  }
  EXPECT_EQ(Access({}).CheckKey(HttpRequest{}), nullptr);
}

bool MayBeCalled(const Access& access, const char* host) {
  HttpRequest request;
  request.headers = {{"host", host}};
  return access.CheckSource(request).has_value();
}

TEST(Access, KnowsThisMachine) {
  const Access access({.allowed_hosts = {"kvasir.test"}});
  for (const char* host : {"localhost", "localhost:1", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]",
                           "a.localhost", "kvasir.test:80", "LocalHost:80", "Kvasir.Test"}) {
    EXPECT_TRUE(MayBeCalled(access, host)) << host;
  }
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.1", "127.evil"}) {
    EXPECT_FALSE(MayBeCalled(access, host)) << host;
  }
}

// A page cannot make an address its own, but it can make its name resolve to this machine.
TEST(Access, KnowsWhoMayCallAServerThatOthersCanReach) {
  const Access without_keys({.allowed_hosts = {}, .loopback = false});
  for (const char* host : {"10.0.0.1:8080", "[fe80::1]:8080", "0.0.0.0", "localhost", "127.0.0.1", ""}) {
    EXPECT_TRUE(MayBeCalled(without_keys, host)) << host;
  }
  for (const char* host : {"evil.example", "10.0.0.1.evil.example", "1.2.3.evil", "kvasir"}) {
    EXPECT_FALSE(MayBeCalled(without_keys, host)) << host;
    EXPECT_TRUE(MayBeCalled(Access({.keys = {{"a", "secret-1"}}, .loopback = false}), host)) << "a key protects it";
    EXPECT_FALSE(
        MayBeCalled(Access({.keys = {{"a", "secret-1"}}, .allowed_hosts = {"k.lan"}, .loopback = false}), host))
        << "a list that was given is kept to";
  }
  const Access named({.allowed_hosts = {"kvasir"}, .loopback = false});
  EXPECT_TRUE(MayBeCalled(named, "kvasir:8080"));
  EXPECT_TRUE(MayBeCalled(named, "10.0.0.1"));
  EXPECT_FALSE(MayBeCalled(named, "evil.example"));
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

TEST(Access, LetsListedPagesSendWhatHeadersTheyLike) {
  const Access access({.allowed_origins = {"https://good.example"}});
  const auto allowed = [&](std::string wanted) {
    HttpRequest request = With("origin", "https://good.example");
    request.headers.emplace_back("access-control-request-headers", std::move(wanted));
    for (auto& [name, value] : access.CorsHeaders(request)) {
      if (name == "access-control-allow-headers") return value;
    }
    return std::string();
  };
  EXPECT_EQ(allowed("authorization, x-stainless-os,openai-organization"),
            "authorization, x-stainless-os,openai-organization");
  for (const char* wrong : {"", "x-a\r\nset-cookie: a", "x: y", "\"a\"", "\xff"}) {
    EXPECT_THAT(allowed(wrong), testing::StartsWith("authorization, content-type, ")) << wrong;
  }
}

TEST(ErrorLog, NamesCodeAndMemberButNoSentences) {
  ApiError error = Refuse(400, "the prompt says my-private-words", "unknown_parameter").error();
  error.param = "messages[2].tool_calls[0].nme";
  EXPECT_EQ(ErrorLog(error), (LogFields{{"error", "unknown_parameter"}, {"param", *error.param}}));
  for (const std::string& param : {std::string("my private words"), std::string(81, 'a'), std::string("wörter")}) {
    error.param = param;
    EXPECT_EQ(ErrorLog(error), (LogFields{{"error", "unknown_parameter"}}));
  }
  EXPECT_EQ(ErrorLog(Refuse(404, "no").error()), (LogFields{{"error", "not_found_error"}}));
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
