// Telling the calls in an answer from its text, while it is being written.
//
// A model writes a call as text: a marker, the function's name, the arguments, perhaps another marker, each family of
// models in its own way. A client wants text as text, and a call's name and arguments as such, as soon as they are
// there. What was sent cannot be taken back, so everything is held until it is certain: the beginning of a marker until
// it is one or is not, a call until its name has been read and is that of a tool. From then on the arguments go out as
// they come. What looks like a call and is none is text, unchanged.
//
// All formats share this much; what they differ in are two steps, Open and Continue. Cutting the text into other pieces
// never changes the outcome.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "server/tools/answer_parser.h"
#include "server/tools/cursor.h"
#include "server/tools/tool.h"

namespace kvasir::server {

/// Reads one answer of a format in which calls stand in the text. Not thread-safe.
class CallParser : public AnswerParser {
 public:
  void Push(std::string_view text, CallEvents& out) final;
  void Finish(CallEvents& out) final;

 protected:
  /// What a call may begin with.
  struct Opening {
    std::string text;
    bool only_first = false;  ///< Only where nothing but calls came before.
  };
  CallParser(std::vector<Opening> openings, std::vector<Tool> tools)
      : openings_(std::move(openings)), tools_(std::move(tools)) {}

  /// `text` stands at an opening. kYes: a call has begun (the event is appended) and the cursor stands behind what was
  /// read of it; kNo: this is no call.
  virtual Seen Open(Cursor& text, CallEvents& out) = 0;
  /// Goes on behind Open: kYes after a step, kPartly to wait for more text, kNo when what follows does not belong to
  /// calls. What the cursor has passed is taken in each case.
  virtual Seen Continue(Cursor& text, CallEvents& out) = 0;
  /// The answer ended between Open and the end of Continue; `rest` was not taken.
  virtual void CutOff(std::string_view rest, CallEvents& out) = 0;

  [[nodiscard]] const std::vector<Tool>& tools() const { return tools_; }

 private:
  struct Found {
    size_t at = std::string::npos;
    size_t hold = std::string::npos;  // where the end of the text begins that may become an opening
  };
  [[nodiscard]] Found FindOpening() const;
  void EmitContent(size_t size, CallEvents& out);
  // Both return whether there is more to do with the text at hand.
  bool ReadContent(CallEvents& out);
  bool ReadCalls(CallEvents& out);

  std::vector<Opening> openings_;
  std::vector<Tool> tools_;
  std::string held_;
  bool in_calls_ = false;
  bool called_ = false;
  bool has_content_ = false;
};

}  // namespace kvasir::server
