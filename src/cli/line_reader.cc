#include "cli/line_reader.h"

#include <fmt/format.h>
#include <histedit.h>
#include <langinfo.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <filesystem>
#include <string_view>

#include "cli/interrupt.h"
#include "cli/terminal.h"

namespace kvasir::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kHistorySize = 1000;
constexpr char kEscape = '\1';  // encloses what the prompt writes without moving the cursor

class PipeReader : public LineReader {
 public:
  Line Read(bool /*continued*/) override {
    char* buffer = nullptr;
    size_t capacity = 0;
    const ssize_t length = getline(&buffer, &capacity, stdin);
    Line line{.kind = Line::Kind::kEnd};
    if (length >= 0) line = {Line::Kind::kText, std::string(buffer, static_cast<size_t>(length))};
    std::free(buffer);
    if (line.text.ends_with('\n')) line.text.pop_back();
    if (line.text.ends_with('\r')) line.text.pop_back();
    return line;
  }
  void Remember(const std::string& /*message*/) override {}
};

// libedit decodes keys by the locale. A C locale would cut every letter that is not ASCII into bytes.
void UseUtf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
}

// The editor of libedit, which also reads ~/.editrc.
class TerminalReader : public LineReader {
 public:
  TerminalReader() {
    UseUtf8();
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistorySize);
    history(history_, &event, H_SETUNIQUE, 1);
    path_ = HistoryPath();
    if (!path_.empty()) history(history_, &event, H_LOAD, path_.c_str());
    // What the user types is echoed to the terminal even where the answers go to a file.
    FILE* screen = OutputIsTerminal() ? stdout : stderr;
    edit_ = el_init("kvasir", stdin, screen, stderr);
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_GETCFN, &TerminalReader::ReadKey);
    el_set(edit_, EL_PROMPT_ESC, &TerminalReader::Prompt, kEscape);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, history, history_);
    el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(edit_, EL_BIND, "\\e[1~", "ed-move-to-beg", nullptr);
    el_set(edit_, EL_BIND, "\\e[4~", "ed-move-to-end", nullptr);
    el_set(edit_, EL_BIND, "\\e[3~", "ed-delete-next-char", nullptr);
    el_set(edit_, EL_BIND, "\\e[1;5D", "ed-prev-word", nullptr);
    el_set(edit_, EL_BIND, "\\e[1;5C", "em-next-word", nullptr);
    el_source(edit_, nullptr);
  }

  ~TerminalReader() override {
    el_end(edit_);
    history_end(history_);
  }

  Line Read(bool continued) override {
    const Interrupt interrupt;
    continued_ = continued;
    int count = 0;
    const char* text = el_gets(edit_, &count);
    if (interrupt.raised()) {
      // libedit has put the terminal into its own mode and did not leave it.
      el_set(edit_, EL_PREP_TERM, 0);
      el_reset(edit_);
      WriteNewline();
      return {.kind = Line::Kind::kInterrupted};
    }
    if (text == nullptr || count <= 0) {
      WriteNewline();
      return {.kind = Line::Kind::kEnd};
    }
    Line line{.text = std::string(text, static_cast<size_t>(count))};
    if (line.text.ends_with('\n')) line.text.pop_back();
    return line;
  }

  void Remember(const std::string& message) override {
    HistEvent event;
    history(history_, &event, H_ENTER, message.c_str());
    if (path_.empty()) return;
    // Saved after each message, so that nothing is lost when the terminal is closed; as a new file that takes the old
    // one's place, so that a crash leaves one of the two.
    std::error_code error;
    fs::create_directories(fs::path(path_).parent_path(), error);
    const std::string temporary = fmt::format("{}.{}", path_, getpid());
    if (history(history_, &event, H_SAVE, temporary.c_str()) < 0 ||
        std::rename(temporary.c_str(), path_.c_str()) != 0) {
      std::remove(temporary.c_str());
      path_.clear();  // not writable: do without
    }
  }

 private:
  static char* Prompt(EditLine* edit) {
    TerminalReader* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    static char plain[] = "> ";
    static char plain_continued[] = ". ";
    // libedit ties an escape sequence to the character behind it, and drops one that ends the prompt.
    static char coloured[] = "\1\x1b[1;32m\1>\1\x1b[0m\1 ";
    static char coloured_continued[] = "\1\x1b[2m\1.\1\x1b[0m\1 ";
    if (ColoursAllowed()) return self->continued_ ? coloured_continued : coloured;
    return self->continued_ ? plain_continued : plain;
  }

  // The next character typed: 1, 0 at the end of the input, or -1 when Ctrl-C came first. libedit's own reader would
  // sleep on where a signal arrives between its last look and its read.
  static int ReadKey(EditLine* /*edit*/, wchar_t* key) {
    std::mbstate_t state{};
    for (;;) {
      char byte = 0;
      if (!Interrupt::WaitForInput(STDIN_FILENO)) return -1;
      const ssize_t got = read(STDIN_FILENO, &byte, 1);
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (got <= 0) return static_cast<int>(got);
      const size_t length = std::mbrtowc(key, &byte, 1, &state);
      if (length == static_cast<size_t>(-2)) continue;  // a letter of several bytes goes on
      if (length == static_cast<size_t>(-1)) {
        state = {};  // not a letter of this locale: left out
        continue;
      }
      return 1;
    }
  }

  static void WriteNewline() { std::fputc('\n', OutputIsTerminal() ? stdout : stderr); }

  EditLine* edit_;
  History* history_;
  std::string path_;
  bool continued_ = false;
};

}  // namespace

std::unique_ptr<LineReader> LineReader::Create() {
  if (InputIsTerminal()) return std::make_unique<TerminalReader>();
  return std::make_unique<PipeReader>();
}

std::string HistoryPath() {
  fs::path state;
  const char* xdg = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (xdg != nullptr && *xdg == '/') {
    state = xdg;
  } else if (home != nullptr && *home == '/') {
    state = fs::path(home) / ".local" / "state";
  } else {
    return "";
  }
  return (state / "kvasir" / "history").string();
}

}  // namespace kvasir::cli
