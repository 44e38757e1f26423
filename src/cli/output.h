// Standard streams and whole files: text in, text out, and what to do when the other side is gone.
#pragma once

#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::cli {

/// Writes `text` to standard output as it is. A failure is remembered for FinishOutput.
void WriteOut(std::string_view text);
/// Like WriteOut, and flushes. False when the output can no longer be written: then there is no point in going on.
bool StreamOut(std::string_view text);
/// Flushes standard output and gives the exit code: `code`, or 1 with a message when something could not be written, or
/// (quietly) 141 when the reader has gone away.
[[nodiscard]] int FinishOutput(int code);

/// Writes "kvasir: MESSAGE" as one line to standard error.
void WriteError(std::string_view message);
/// Writes `text` to standard error as it is; without effect where that is closed.
void WriteNote(std::string_view text);

/// All of standard input. Fails with kIo.
[[nodiscard]] Result<std::string> ReadStandardInput();
/// A whole file; "-" is standard input. Fails with kNotFound or kIo, naming the file.
[[nodiscard]] Result<std::string> ReadTextFile(const std::string& path);
/// Replaces `path` as a whole or not at all: readers see the old bytes or the new ones.
[[nodiscard]] Status WriteFileAtomically(const std::string& path, std::string_view bytes);

}  // namespace kvasir::cli
