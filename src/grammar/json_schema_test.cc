#include "grammar/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/seconds_since.h"
#include "grammar/matching_test_support.h"
#include "grammar/program.h"

namespace kvasir::grammar {
namespace {

using testing::HasSubstr;

void Check(std::string_view schema, const std::vector<std::string>& yes, const std::vector<std::string>& no) {
  const auto expr = ParseJsonSchema(schema);
  ASSERT_TRUE(expr.has_value()) << schema << ": " << expr.error().message;
  for (const std::string& text : yes) EXPECT_TRUE(MatchesForTest(*expr, text)) << schema << " on " << text;
  for (const std::string& text : no) EXPECT_FALSE(MatchesForTest(*expr, text)) << schema << " on " << text;
}

TEST(JsonSchemaTest, AnyValue) {
  for (const char* schema : {"true", "{}", R"({"title": "x", "description": "y", "$defs": {"z": {"not": 1}}})"}) {
    Check(schema, {"1", "-1.5e3", "\"é\\n\"", "true", "null", "[]", "{}", R"({"a": [1, {"b":null}],"c":2})"},
          {"", "01", "\"\n\"", "\"\\u0061\"", "[1,]", "{\"a\"}", "{ }", "[1,  2]", "tru", "1 "});
  }
}

// As pydantic and OpenAPI write them.
TEST(JsonSchemaTest, AnnotationsSayNothingAboutDocuments) {
  Check(R"({"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
            "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}},
            "$defs": {"Cat": {"type": "object", "properties": {"kind": {"const": "cat"}}, "required": ["kind"]},
                      "Dog": {"type": "object", "properties": {"kind": {"const": "dog"}}, "required": ["kind"]}}})",
        {R"({"kind":"cat"})", R"({"kind":"dog"})"}, {R"({"kind":"cow"})", "{}"});
  Check(R"({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"})", {"\"any text\""}, {"1"});
}

TEST(JsonSchemaTest, TypesAndConstants) {
  Check(R"({"type": "string"})", {"\"\"", "\"a\""}, {"1", "null"});
  Check(R"({"type": ["integer", "null"]})", {"0", "-12", "null"}, {"1.5", "-0", "\"1\""});
  Check(R"({"type": "number"})", {"0", "1.5", "1e9", "-0.5E-3"}, {"-0", "1e100", "NaN"});
  Check(R"({"enum": ["a", 1, null, [1, 2], {"k": "v"}]})", {"\"a\"", "1", "null", "[1,2]", "[1, 2]", "{\"k\": \"v\"}"},
        {"\"b\"", "[1]", "{}"});
  Check(R"({"const": "a\"\u0001/"})", {R"("a\"\u0001/")"}, {"\"a\""});
  Check(R"({"type": "string", "enum": ["a", 1, "long"], "maxLength": 2})", {"\"a\""}, {"1", "\"long\""});
  Check(R"({"enum": [1, 2, 3.5, 9], "minimum": 2, "type": "integer"})", {"2", "9"}, {"1", "3.5"});
}

TEST(JsonSchemaTest, Strings) {
  Check(R"({"type": "string", "minLength": 2, "maxLength": 3})", {"\"ab\"", "\"é€😀\"", "\"\\n\\\"\""},
        {"\"a\"", "\"abcd\""});
  Check(R"({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3})", {"\"abc\""}, {"\"\"", "\"abcd\"", "\"A\""});
  Check(R"({"type": "string", "pattern": "b"})", {"\"abc\""}, {"\"ac\""});
  Check(R"({"type": "string", "format": "date"})", {"\"2024-02-29\"", "\"1999-12-31\"", "\"2000-02-29\""},
        {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-13-01\"", "\"2024-04-31\"", "\"0000-01-01\""});
  Check(R"({"type": "string", "format": "date-time"})", {"\"2024-01-01T23:59:59.5Z\"", "\"2024-01-01T00:00:00+01:30\""},
        {"\"2024-01-01\"", "\"2024-01-01T24:00:00Z\""});
  Check(R"({"type": "string", "format": "uuid"})", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123e4567\""});
  Check(R"({"type": "string", "format": "ipv4"})", {"\"192.168.0.255\""}, {"\"256.1.1.1\"", "\"01.1.1.1\""});
  Check(R"({"type": "string", "format": "ipv6"})",
        {"\"::\"", "\"::1\"", "\"fe80::1:2\"", "\"1:2:3:4:5:6:7:8\"", "\"1::\""},
        {"\"1:2:3:4:5:6:7\"", "\"1::2::3\"", "\"12345::\""});
  Check(R"({"type": "string", "format": "email"})", {"\"a.b@example.org\""}, {"\"a@b@c.de\"", "\"a\""});
  Check(R"({"type": "string", "format": "duration"})", {"\"P1Y2M3DT4H5M6S\"", "\"PT5M\"", "\"P2W\""},
        {"\"P\"", "\"PT\"", "\"1D\""});
}

TEST(JsonSchemaTest, LongStringsHaveABound) {
  Check(R"({"type": "string", "maxLength": 5000})", {"\"" + std::string(5000, 'x') + "\""},
        {"\"" + std::string(5001, 'x') + "\""});
  const auto too_long = ParseJsonSchema(R"({"type": "string", "maxLength": 50000})");
  ASSERT_FALSE(too_long.has_value());
  EXPECT_EQ(too_long.error().code, ErrorCode::kResourceExhausted);
}

TEST(JsonSchemaTest, Numbers) {
  Check(R"({"type": "integer", "minimum": -5, "exclusiveMaximum": 12})", {"-5", "0", "11"}, {"-6", "12", "1.0"});
  Check(R"({"type": "number", "minimum": 0.5, "maximum": 1})", {"0.5", "0.75", "1", "1.0"}, {"0.4", "1.01", "5e-1"});
  Check(R"({"type": "integer", "multipleOf": 7, "minimum": 1})", {"7", "700"}, {"0", "8", "-7"});
}

TEST(JsonSchemaTest, Arrays) {
  Check(R"({"type": "array", "items": {"type": "integer"}})", {"[]", "[1]", "[1,2, 3]"}, {"[null]", "[1,]", "[,1]"});
  Check(R"({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3})", {"[1,2]", "[1,2,3]"},
        {"[]", "[1]", "[1,2,3,4]"});
  std::string zeros;
  for (int i = 1; i < 30; ++i) zeros += ",0";
  Check(R"({"type": "array", "items": {"const": 0}, "minItems": 30, "maxItems": 40})", {"[0" + zeros + "]"}, {"[0]"});
  Check(R"({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": false})", {"[]", "[1]", "[1,2]"},
        {"[2]", "[1,2,3]"});
  Check(R"({"type": "array", "prefixItems": [{"const": 1}], "items": {"const": "r"}, "minItems": 1})",
        {"[1]", "[1,\"r\",\"r\"]"}, {"[]", "[\"r\"]"});
  Check(R"({"type": "array", "prefixItems": [{"const": 1}, false], "minItems": 1})", {"[1]"}, {"[]", "[1,2]"});
  Check(R"({"type": "array", "maxItems": 0})", {"[]"}, {"[1]"});
  Check(R"({"type": "array", "items": {"const": 1}, "uniqueItems": false})", {"[1,1]"}, {});
}

TEST(JsonSchemaTest, Objects) {
  const char* person = R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"},
                           "tags": {"type": "array", "items": {"type": "string"}}}, "required": ["age"]})";
  Check(person, {R"({"name": "x", "age": 1})", R"({"age":1})", R"({"age":1,"tags":["a"]})"},
        {"{}", R"({"name":"x"})", R"({"age":1,"name":"x"})", R"({"age":1,"age":2})", R"({"age":1,"other":2})"});
  Check(R"({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}})",
        {"{}", R"({"a":1})", R"({"b":2})", R"({"a":1, "b": 2})"}, {R"({"b":2,"a":1})", R"({,"a":1})", R"({"a":1,})"});
  Check(R"({"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": {"type": "boolean"}})",
        {"{}", R"({"a":1,"x":true,"aa":false})", R"({"x":true})"},
        {R"({"a":true})", R"({"x":1})", R"({"a":1,"a":true})"});
  Check(R"({"type": "object", "additionalProperties": {"const": 1}, "minProperties": 1, "maxProperties": 2})",
        {R"({"x":1})", R"({"x":1,"y":1})"}, {"{}", R"({"x":1,"y":1,"z":1})"});
  Check(R"({"type": "object", "patternProperties": {"^n_": {"type": "integer"}, "^s_": {"type": "string"}},
            "additionalProperties": false})",
        {"{}", R"({"n_a":1,"s_b":"x"})"}, {R"({"n_a":"x"})", R"({"other":1})"});
  Check(R"({"type": "object", "required": ["é\"/"], "additionalProperties": false, "properties": {"é\"/": true}})",
        {R"({"é\"/":1})"}, {"{}"});
  Check(
      R"({"type": "object", "required": ["a"], "properties": {"b": {"const": 1}}, "additionalProperties": {"const": 2}})",
      {R"({"a":2})", R"({"b":1,"a":2,"c":2})"}, {R"({"b":1})", R"({"a":1})"});
  Check(R"({"type": "object", "properties": {"a": false, "b": {"const": 1}}})", {"{}", R"({"b":1})"}, {R"({"a":1})"});
}

TEST(JsonSchemaTest, Combinations) {
  Check(R"({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 3}]})", {"\"a\"", "3"}, {"2", "null"});
  Check(R"({"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"],
            "anyOf": [{"properties": {"b": {"const": 2}}, "required": ["b"]}, {"properties": {"c": {"const": 3}}}]})",
        {R"({"a":1,"b":2})", R"({"a":1,"c":3})", R"({"a":1})"}, {R"({"b":2})", R"({"a":1,"b":3})"});
  Check(R"({"allOf": [{"type": "string", "minLength": 2}, {"pattern": "^a"}, {"maxLength": 3}]})", {"\"ab\""},
        {"\"a\"", "\"ba\"", "\"abcd\""});
  Check(
      R"({"allOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"a": {"minimum": 5}}, "required": ["a"]}],
            "type": "object"})",
      {R"({"a":5})"}, {R"({"a":4})", "{}"});
  Check(R"({"oneOf": [{"type": "string"}, {"type": "null"}]})", {"\"\"", "null"}, {"1"});
  Check(R"({"oneOf": [{"type": "object", "properties": {"k": {"const": "a"}, "x": {"const": 1}}, "required": ["k"]},
                      {"type": "object", "properties": {"k": {"const": "b"}, "y": {"const": 2}}, "required": ["k"]}]})",
        {R"({"k":"a","x":1})", R"({"k":"b","y":2})"}, {R"({"k":"a","y":2})", "{}"});
  Check(R"({"oneOf": [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 4}]})", {"3", "4"}, {});
}

TEST(JsonSchemaTest, References) {
  Check(R"({"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"},
            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["v", "next"]}},
            "$ref": "#/$defs/node"})",
        {R"({"v":1,"next":null})", R"({"v":1, "next": {"v":2,"next":{"v":3,"next":null}}})"}, {R"({"v":1})", "null"});
  Check(R"({"type": "array", "items": {"$ref": "#"}})", {"[]", "[[],[[]]]"}, {"[1]"});
  Check(R"({"definitions": {"a/b~c": {"const": 1}, "p q": {"const": 2}},
            "enum": [1, 2], "anyOf": [{"$ref": "#/definitions/a~1b~0c"}, {"$ref": "#/definitions/p%20q"}]})",
        {"1", "2"}, {"3"});
  Check(R"({"$defs": {"s": {"type": "string"}}, "$ref": "#/$defs/s", "maxLength": 1})", {"\"a\""}, {"\"ab\"", "1"});
}

TEST(JsonSchemaTest, ErrorsNameThePointer) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\n\"a\": 1,}", "not valid JSON: line 2, column 8: a comma stands before '}'"},
      {"3", "at # must be an object"},
      {R"({"type": "strin"})", "#/type is strin"},
      {R"({"type": 123})", "#/type is 123"},
      {R"({"not": {}})", "#/not is a keyword that is not supported"},
      {R"({"properties": {"a/b": {"if": {}}}})", "#/properties/a~1b/if"},
      {R"({"items": [{}]})", "#/items is a list"},
      {R"({"prefixItems": [{}, {"uniqueItems": true}]})", "#/prefixItems/1/uniqueItems"},
      {R"({"type": "string", "pattern": "+"})", "#/pattern is not usable"},
      {R"({"type": "string", "pattern": "(?<=x)*"})", "look-around"},
      {R"({"type": "string", "format": "color"})",
       "#/format is not usable: the format color is not known; there are: date"},
      {R"({"$ref": "http://example.org/x"})", "#/$ref is \"http://example.org/x\", but only places inside"},
      {R"({"$ref": "#/$defs/x"})", "#/$ref is \"#/$defs/x\", but the document has no such place"},
      {R"({"anyOf": [{"$ref": "#"}, {"const": 1}]})", "at # is an alternative of itself"},
      {R"({"$ref": "#"})", "at # leads back to itself"},
      {R"({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"})",
       "at #/$defs/a/allOf/0 leads back"},
      {R"({"anyOf": []})", "#/anyOf must be a list"},
      {R"({"enum": []})", "#/enum must be a list"},
      {R"({"required": "a"})", "#/required must be a list of names"},
      {R"({"minLength": -1})", "#/minLength must be a whole number"},
      {R"({"multipleOf": 0.01})", "#/multipleOf must be a whole number from 1 to 1000"},
      {R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})", "(#/oneOf/0 and #/oneOf/1)"},
      {R"({"oneOf": [{"type": "object"}, {"type": "object", "required": ["a"]}]})", "one value may satisfy together"},
      {R"({"oneOf": [{"type": "number"}, {"type": "number", "minimum": 1e25}]})", "one value may satisfy together"},
      {R"({"items": {"$id": "x"}})", "#/items/$id makes a document inside"},
      {R"({"type": "object", "minProperties": 2})", "#/minProperties is 2"},
      {R"({"type": "object", "properties": {"a": {}, "b": {}}, "maxProperties": 1})",
       "#/maxProperties cannot be enforced"},
      {R"({"enum": [{}], "required": ["a"]})", "lists objects or arrays in enum"},
      {"false", "no document can satisfy"},
      {R"({"type": "string", "enum": [1]})", "no document can satisfy"},
      {R"({"type": "string", "minLength": 3, "maxLength": 2})", "no document can satisfy"},
  };
  for (const auto& [schema, message] : cases) {
    const auto expr = ParseJsonSchema(schema);
    ASSERT_FALSE(expr.has_value()) << schema;
    EXPECT_THAT(expr.error().message, HasSubstr(message)) << schema;
  }
}

TEST(JsonSchemaTest, DescriptionsChangeNothing) {
  const auto plain = ParseJsonSchema(R"({"type": "object", "properties": {"a": {"type": "string"}}})");
  const auto described = ParseJsonSchema(
      R"({"type": "object", "description": "((( \" [", "properties": {"a": {"type": "string", "description": "^$"}}})");
  ASSERT_TRUE(plain && described);
  EXPECT_EQ(Program::Compile(*plain)->size(), Program::Compile(*described)->size());
}

TEST(JsonSchemaTest, HostileSchemasAreRefusedSoon) {
  const auto start = std::chrono::steady_clock::now();
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += R"({"items":)";
  EXPECT_FALSE(ParseJsonSchema(deep).has_value());
  // Alternatives that multiply: 3^12 lists.
  std::string all = R"({"allOf": [)";
  for (int i = 0; i < 12; ++i) {
    all += std::string(i > 0 ? "," : "") + R"({"anyOf": [{"minLength": 1}, {"minLength": 2}, {"minLength": 3}]})";
  }
  const auto multiplied = ParseJsonSchema(all + "]}");
  ASSERT_FALSE(multiplied.has_value());
  EXPECT_EQ(multiplied.error().code, ErrorCode::kResourceExhausted);
  const auto endless = ParseJsonSchema(R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})");
  ASSERT_TRUE(endless.has_value());
  EXPECT_FALSE(Program::Compile(*endless).has_value());
  EXPECT_LT(base::SecondsSince(start), kSoonSeconds);
}

}  // namespace
}  // namespace kvasir::grammar
