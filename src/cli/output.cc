#include "cli/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {
namespace {

int first_write_error = 0;  // the errno of the first failed write to stdout

void Note(bool ok) {
  if (!ok && first_write_error == 0) first_write_error = errno == 0 ? EIO : errno;
}

Result<std::string> ReadDescriptor(int fd, std::string_view name) {
  std::string bytes;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count == 0) return bytes;
    if (count < 0) {
      if (errno == EINTR) continue;
      return Fail(ErrorCode::kIo, fmt::format("cannot read {}: {}", name, std::strerror(errno)));
    }
    bytes.append(buffer, static_cast<size_t>(count));
  }
}

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return Fail(ErrorCode::kIo, std::strerror(errno));
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return {};
}

// Errors quote files and arguments of any length: the middle of a very long one is left out.
std::string Shortened(std::string_view message) {
  constexpr size_t kHead = 1200;
  constexpr size_t kTail = 300;
  if (message.size() <= kHead + kTail) return std::string(message);
  return fmt::format("{} [...] {}", message.substr(0, kHead), message.substr(message.size() - kTail));
}

// A new file gets the permissions that open() would have given it; a file that is replaced keeps its own.
mode_t ModeFor(const std::string& path) {
  struct stat old{};
  if (stat(path.c_str(), &old) == 0) return old.st_mode & 07777;
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

void WriteOut(std::string_view text) {
  if (first_write_error == 0) Note(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
}

bool StreamOut(std::string_view text) {
  WriteOut(text);
  if (first_write_error == 0) Note(std::fflush(stdout) == 0);
  return first_write_error == 0;
}

int FinishOutput(int code) {
  StreamOut("");
  if (first_write_error == 0) return code;
  if (first_write_error == EPIPE) return kExitBrokenPipe;
  WriteError(fmt::format("cannot write to standard output: {}", std::strerror(first_write_error)));
  return kExitFailure;
}

void WriteError(std::string_view message) {
  std::string line = Harmless(Shortened(message));
  std::replace(line.begin(), line.end(), '\n', ' ');
  WriteNote(fmt::format("kvasir: {}\n", line));
}

void WriteNote(std::string_view text) {
  // Nobody can be told when this fails.
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
  (void)std::fflush(stderr);
}

Result<std::string> ReadStandardInput() {
  // Without a word the program would seem to hang.
  if (InputIsTerminal()) WriteNote(Quiet("Type the text; Ctrl-D on a line of its own ends it.") + "\n");
  return ReadDescriptor(STDIN_FILENO, "standard input");
}

Result<std::string> ReadTextFile(const std::string& path) {
  if (path == "-") return ReadStandardInput();
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const auto code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
    return Fail(code, fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  }
  Result<std::string> bytes = ReadDescriptor(fd, path);
  close(fd);
  return bytes;
}

Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  const auto fail = [&](std::string_view why) {
    return Fail(ErrorCode::kIo, fmt::format("cannot write {}: {}", path, why));
  };
  struct stat existing{};
  if (stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode)) return fail("it is not a regular file");
  std::string temporary = path + ".XXXXXX";
  const int fd = mkstemp(temporary.data());
  if (fd < 0) return fail(std::strerror(errno));
  Status written = WriteAll(fd, bytes);
  if (written && (fchmod(fd, ModeFor(path)) != 0 || fsync(fd) != 0))
    written = Fail(ErrorCode::kIo, std::strerror(errno));
  if (close(fd) != 0 && written) written = Fail(ErrorCode::kIo, std::strerror(errno));
  if (written && rename(temporary.c_str(), path.c_str()) != 0) written = Fail(ErrorCode::kIo, std::strerror(errno));
  if (written) return {};
  unlink(temporary.c_str());
  return fail(written.error().message);
}

}  // namespace kvasir::cli
