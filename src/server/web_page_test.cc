#include "server/web_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "server/routes.h"

namespace kvasir::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::map<std::string, std::string> HeadersOf(const HttpResponse& response) {
  return {response.head.headers.begin(), response.head.headers.end()};
}

TEST(FindPageFile, EachFileHasOnePath) {
  ASSERT_NE(FindPageFile("/"), nullptr);
  EXPECT_EQ(FindPageFile("/")->name, "web/index.html");
  ASSERT_NE(FindPageFile("/web/main.js"), nullptr);
  for (const char* other : {"", "web/main.js", "/web/index.html", "/web", "/web/", "//web/main.js",
                            "/web/../openapi.json", "/openapi.json", "/web/main.js/", "/WEB/main.js", "/web/none.js"}) {
    EXPECT_EQ(FindPageFile(other), nullptr) << other;
  }
}

TEST(FindPageFile, AllFilesOfThePageAreOneRoute) {
  const auto page = FindRoute("GET", "/");
  const auto script = FindRoute("GET", "/web/main.js");
  ASSERT_TRUE(page.has_value() && script.has_value());
  EXPECT_EQ(*page, *script);
  EXPECT_EQ(FindRoute("POST", "/web/main.js").error().status, 405);
  EXPECT_EQ(FindRoute("GET", "/web/none.js").error().status, 404);
}

TEST(ContentType, IsKnownForEveryFileOfThePage) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (!file.name.starts_with("web/")) continue;
    EXPECT_NE(ContentType(file.name), "application/octet-stream") << file.name;
    EXPECT_FALSE(file.content.empty()) << file.name;
  }
}

TEST(EntityTag, ChangesWithTheContent) {
  EXPECT_EQ(EntityTag("a"), EntityTag("a"));
  EXPECT_NE(EntityTag("a"), EntityTag("b"));
  EXPECT_EQ(EntityTag("").size(), 18U);
}

TEST(PageResponse, ForbidsWhatThePageDoesNotNeed) {
  const HttpResponse response = PageResponse({}, {"web/x.html", "<p>"});
  EXPECT_EQ(response.head.status, 200);
  EXPECT_EQ(response.body, "<p>");
  const auto headers = HeadersOf(response);
  EXPECT_EQ(headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(headers.at("x-content-type-options"), "nosniff");
  EXPECT_EQ(headers.at("cache-control"), "no-cache");
  EXPECT_THAT(headers.at("content-security-policy"),
              AllOf(HasSubstr("default-src 'none'"), HasSubstr("require-trusted-types-for 'script'"),
                    Not(HasSubstr("unsafe"))));
}

TEST(PageResponse, IsEmptyForABrowserThatHasTheFile) {
  const EmbeddedFile file{"web/x.js", "let x;"};
  const std::string tag = EntityTag(file.content);
  for (const std::string& known : {tag, "W/" + tag, "\"other\", " + tag}) {
    const HttpResponse response = PageResponse({.headers = {{"if-none-match", known}}}, file);
    EXPECT_EQ(response.head.status, 304);
    EXPECT_EQ(response.body, "");
    EXPECT_EQ(HeadersOf(response).at("etag"), tag);
  }
  EXPECT_EQ(PageResponse({.headers = {{"if-none-match", "\"other\""}}}, file).head.status, 200);
}

}  // namespace
}  // namespace kvasir::server
