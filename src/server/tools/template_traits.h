// What a chat template makes of tools, calls and results.
//
// Templates are programs: there is no list of what they support. Some describe tools and some do not, some want the
// arguments of a call as an object and some as a text, some refuse call ids that have not nine letters. So small
// conversations are rendered once, when the model is loaded, and the texts are looked at.
#pragma once

#include "kvasir/chat_template.h"

namespace kvasir::server {

struct TemplateTraits {
  bool system = false;             ///< A system message appears.
  bool tools = false;              ///< Tools are described.
  bool calls = false;              ///< Calls of earlier answers appear.
  bool one_call = false;           ///< But only one of each answer.
  bool results = false;            ///< Messages of the role "tool" appear.
  bool arguments_as_text = false;  ///< The arguments of a call have to be a text.
  bool content_is_null = false;    ///< A message with calls must not have a content.
  bool empty_list = false;         ///< Where there are no tools it wants an empty list of them.
  bool thinking = false;           ///< Thoughts of earlier answers are called "thinking", not "reasoning_content".
  bool short_ids = false;          ///< Call ids have nine letters and digits.
};

[[nodiscard]] TemplateTraits ProbeTemplate(const ChatTemplate& chat_template);

}  // namespace kvasir::server
