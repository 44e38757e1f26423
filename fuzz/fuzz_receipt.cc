// Fuzz target: any bytes as the TOML file of a receipt. The reader must refuse or accept them; what it accepts must be
// written as a receipt that says the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kvasir/receipt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto receipt = kvasir::ParseReceipt(std::string(reinterpret_cast<const char*>(data), size));
  if (!receipt) {
    if (receipt.error().message.empty()) std::abort();
    return 0;
  }
  const std::string text = kvasir::ReceiptText(*receipt);
  const auto again = kvasir::ParseReceipt(text);
  if (!again || kvasir::ReceiptText(*again) != text) std::abort();
  return 0;
}
