/// @file
/// Errors as values: what every fallible function of Kvasir returns.
#pragma once

#include <expected>
#include <string>
#include <utility>

/// The public C++ API of Kvasir.
namespace kvasir {

/// What kind of thing went wrong. Each value has one meaning, whatever the room.
enum class ErrorCode {
  kInvalidArgument,    ///< The caller asked for something that cannot be: the request must change.
  kNotFound,           ///< A file, model or name does not exist.
  kCorrupt,            ///< Bytes read from a file or the network contradict their format.
  kUnsupported,        ///< Well formed, but this build does not implement it.
  kResourceExhausted,  ///< A budget (memory, pages, context) does not allow it.
  kCancelled,          ///< The caller cancelled the work.
  kIo,                 ///< The operating system refused a read, write or map.
};

/// An error: its kind, and one sentence that names the thing, its value and the way out.
struct Error {
  ErrorCode code = ErrorCode::kInvalidArgument;  ///< For programs.
  std::string message;                           ///< For people: English, in UTF-8.
};

/// A value, or why there is none.
template <typename T>
using Result = std::expected<T, Error>;
/// Success, or why there is none.
using Status = Result<void>;

/// Builds the error side of a Result: `return Fail(ErrorCode::kNotFound, "no file " + path);`
[[nodiscard]] inline std::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message)});
}

/// The name of `code` as it is printed, for example "invalid argument".
[[nodiscard]] inline const char* ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid argument";
    case ErrorCode::kNotFound: return "not found";
    case ErrorCode::kCorrupt: return "corrupt data";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kResourceExhausted: return "out of budget";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kIo: return "input/output error";
  }
  return "unknown error";
}

}  // namespace kvasir
