#include "kvasir/kv_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  const auto spec = ParseKvSpec(text);
  return spec ? "fine: " + KvSpecText(*spec) : spec.error().message;
}

TEST(KvSpecTest, ReadsWhatItWrites) {
  for (const char* text : {"auto",
                           "f32",
                           "f16",
                           "q8",
                           "nuq4",
                           "k=nuq3,v=nuq4",
                           "k=q8,v=nuq2,k[0-3]=ch5,v[29]=q4",
                           "kivi2,outliers=0.01,recent=64,sinks=0,open=q8",
                           "auto:3.25bits",
                           "auto:2bits,recent=64",
                           "nuq3,outliers=0,levels=even,ranges=static,rope=after,qnorm=on",
                           "nuq3,weights=even",
                           "k=tok3,v=nuq3,levels=fitted",
                           "ch4,ranges=page,rope=before,qnorm=off",
                           "nuq4,weights=measured,evict=h2o,budget=50%",
                           "auto,evict=snapkv,budget=1024",
                           "nuq4,recent=64,evict=h2o,budget=50%",
                           "q8,evict=random,budget=12.5%",
                           "q8,evict=random,budget=12.5%,seed=7",
                           "ch4,evict=tova,budget=64M",
                           "f16,evict=tova,budget=1G",
                           "f16,evict=tova,budget=1536M",
                           "f16,evict=tova,budget=100K"}) {
    const auto spec = ParseKvSpec(text);
    ASSERT_TRUE(spec.has_value()) << spec.error().message;
    EXPECT_EQ(KvSpecText(*spec), text);
    EXPECT_EQ(ParseKvSpec(KvSpecText(*spec)).value(), *spec);
  }
  EXPECT_EQ(KvSpecText(ParseKvSpec("k=nuq4,v=nuq4,recent=128,outliers=1%").value()), "nuq4,outliers=0.01");
}

TEST(KvSpecTest, OpenFormatsKeepAllPagesOpen) {
  EXPECT_FALSE(ParseKvSpec("q8")->compact());
  EXPECT_EQ(ParseKvSpec("q8")->open, "q8");
  const KvSpec spec = ParseKvSpec("k=q8,v=q8").value();
  EXPECT_TRUE(spec.compact());
  EXPECT_EQ(spec.open, "auto");
}

TEST(KvSpecTest, BudgetsAreTokensOrAShareOfThePrompt) {
  EXPECT_EQ(ParseKvSpec("f16,evict=tova,budget=1024")->BudgetOf(5000), 1024);
  EXPECT_EQ(ParseKvSpec("f16,evict=tova,budget=1024")->BudgetText(), "1024");
  EXPECT_EQ(ParseKvSpec("f16,evict=tova,budget=12.5%")->BudgetText(), "12.5%");
  EXPECT_EQ(ParseKvSpec("f16,budget=25%,evict=tova")->BudgetOf(5001), 1250);
  EXPECT_FALSE(ParseKvSpec("f16")->evicts());
}

TEST(KvSpecTest, BudgetsMayBeBytes) {
  for (const auto& [text, bytes] : std::initializer_list<std::pair<const char*, size_t>>{
           {"64M", size_t{64} << 20}, {"1.5G", size_t{3} << 29}, {"0.5K", 0}, {"1.9K", 1024}, {"2000K", 2048000}}) {
    const auto spec = ParseKvSpec(std::string("f16,evict=tova,budget=") + text);
    EXPECT_EQ(spec.has_value(), bytes > 0) << text;
    if (!spec) continue;
    EXPECT_EQ(spec->budget_bytes, bytes);
    EXPECT_EQ(spec->budget_tokens, 0);
    EXPECT_EQ(spec->budget_share, 0);
  }
  for (const char* wrong : {"M", "-1M", "nanM", "64MB", "64m", "1e99G"}) {
    EXPECT_THAT(ErrorOf(std::string("f16,evict=tova,budget=") + wrong),
                HasSubstr("or bytes of a sequence such as 64M"));
  }
}

TEST(KvSpecTest, ABudgetBesideItWins) {
  const auto text = [](std::string_view spec, std::string_view budget) {
    const auto parsed = ParseKvSpec(spec, budget);
    return parsed ? KvSpecText(*parsed) : parsed.error().message;
  };
  EXPECT_EQ(text("f16,evict=tova", "4096"), "f16,evict=tova,budget=4096");
  EXPECT_EQ(text("f16,evict=tova,budget=50%", "64M"), "f16,evict=tova,budget=64M");
  EXPECT_EQ(text("f16,evict=tova,budget=4096", "25%"), "f16,evict=tova,budget=25%");
  EXPECT_THAT(text("f16", "4096"), HasSubstr("has a budget but no policy: write evict=snapkv"));
  EXPECT_THAT(CheckKvBudget("100").error().message, HasSubstr("is '100', but it must be 192 to 1048576 tokens"));
  EXPECT_TRUE(CheckKvBudget("1.5G").has_value());
}

TEST(KvSpecTest, ErrorsNameThePartAndTheWayOut) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("'' in the cache specification is neither an open format (auto, f32, f16, q8"));
  EXPECT_THAT(ErrorOf("q9"), HasSubstr("nor a codec (q8, "));
  EXPECT_THAT(ErrorOf("k=nuq9,v=q8"), HasSubstr("'k=nuq9' in the cache specification names no codec: there are"));
  EXPECT_THAT(ErrorOf("k=nuq4"), HasSubstr("for only one of keys (k=) and values (v=)"));
  EXPECT_THAT(ErrorOf("f16,recent=64"), HasSubstr("has settings of codecs but names none"));
  EXPECT_THAT(ErrorOf("nuq4,recent=x"), HasSubstr("'recent=x' in the cache specification needs a whole number"));
  EXPECT_THAT(ErrorOf("nuq4,recent=-1"), HasSubstr("from 0 to 1048576"));
  EXPECT_THAT(ErrorOf("nuq4,outliers=9%"), HasSubstr("needs a share from 0 to 5%"));
  EXPECT_THAT(ErrorOf("nuq4,k[3-1]=q8"), HasSubstr("needs layers such as [3] or [0-5]"));
  EXPECT_THAT(ErrorOf("nuq4,speed=9"), HasSubstr("'speed=9' in the cache specification is no setting"));
  EXPECT_THAT(ErrorOf("auto:0bits"),
              HasSubstr("'auto:0bits' in the cache specification needs bits per element from 1"));
  EXPECT_THAT(ErrorOf("auto:3bits,k=ch2"), HasSubstr("asks for bits by layer and names codecs too"));
  EXPECT_THAT(ErrorOf("f16,evict=lru,budget=50%"), HasSubstr("'evict=lru' in the cache specification names no policy: "
                                                             "there are streaming, recent, random"));
  EXPECT_THAT(ErrorOf("f16,evict=tova"), HasSubstr("evicts but has no budget: write budget=1024 or budget=50%"));
  EXPECT_THAT(ErrorOf("f16,budget=50%"), HasSubstr("has a budget but no policy: write evict=snapkv"));
  for (const char* budget : {"100", "0%", "101%", "x", "", "-5", "nan%"}) {
    EXPECT_THAT(ErrorOf(std::string("f16,evict=tova,budget=") + budget),
                HasSubstr("needs 192 to 1048576 tokens per layer and head, or a share of the prompt such as 50%"));
  }
  EXPECT_THAT(ErrorOf("nuq4,rope=left"),
              HasSubstr("'rope=left' in the cache specification needs one of two words: before or after"));
  EXPECT_THAT(ErrorOf("f16,qnorm=on"), HasSubstr("has settings of codecs but names none"));
  EXPECT_THAT(ErrorOf("auto:3bits,qnorm=on"), HasSubstr("asks for bits by layer and names codecs too"));
  EXPECT_THAT(ErrorOf("ch4,levels=even"), HasSubstr("speaks of fitted levels, but names no codec that has them"));
  EXPECT_THAT(ErrorOf("k=tok3,v=nuq3,ranges=static"), HasSubstr("names no codec that has such keys"));
  EXPECT_THAT(ErrorOf("k=tok3,v=nuq3,k[2]=ch3,ranges=static,levels=even"), HasSubstr("fine: "));
  EXPECT_THAT(ErrorOf("nuq3,levels=even,weights=even"), HasSubstr("leave one of the two out"));
  EXPECT_THAT(ErrorOf("nuq3,weights=measured,levels=even"), HasSubstr("leave one of the two out"));
  EXPECT_THAT(ErrorOf("f16,evict=tova,budget=50%,seed=2"), HasSubstr("only evict=random draws lots"));
  EXPECT_THAT(ErrorOf("f16,seed=2"), HasSubstr("only evict=random draws lots"));
  EXPECT_THAT(ErrorOf("f16,evict=random,budget=50%,seed=x"), HasSubstr("'seed=x' in the cache specification needs"));
  EXPECT_THAT(ErrorOf("nuq4,"), HasSubstr("'' in the cache specification is no setting"));
  EXPECT_THAT(ErrorOf("nuq4,q8"), HasSubstr("'q8' in the cache specification is no setting"));
  EXPECT_THAT(ErrorOf("nuq4,open=nuq4"), HasSubstr("no cache codec is called 'nuq4'"));
}

}  // namespace
}  // namespace kvasir
