/// @file
/// Chat templates: from a list of messages to the text a model was trained on.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir {

/// A parsed Jinja chat template. Immutable and thread-safe.
class ChatTemplate {
 public:
  /// Parses template source; the template sees the texts of the two tokens as `bos_token` and `eos_token`. Errors begin
  /// with the line: "template line 3: ...".
  [[nodiscard]] static Result<ChatTemplate> Parse(std::string_view source, std::string bos_token = "",
                                                  std::string eos_token = "");
  /// The template inside a GGUF file, given as a path or the name of an installed model. Errors: kNotFound for the
  /// model, or where it has no template; a damaged file; those of Parse.
  [[nodiscard]] static Result<ChatTemplate> Load(const std::string& model);

  ChatTemplate(ChatTemplate&&) noexcept;             ///< Leaves one that may only be assigned to or destroyed.
  ChatTemplate& operator=(ChatTemplate&&) noexcept;  ///< As the constructor.
  ~ChatTemplate();

  /// What it was parsed from. Valid as long as this lives.
  [[nodiscard]] std::string_view source() const;

  /// Renders a request given as JSON: {"messages": [...], "tools": [...], "add_generation_prompt": true, ...}; further
  /// members are passed to the template. Bounded in steps and output. Integers beyond 64 bits
  /// keep their digits. Errors begin with the template's line ("template line 3: ..."), or say what is wrong with the
  /// request, with line and column where it is no JSON.
  [[nodiscard]] Result<std::string> Apply(std::string_view request_json) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvasir
