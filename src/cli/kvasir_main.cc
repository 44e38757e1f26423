#include "cli/program.h"

int main(int argc, char** argv) {
  return kvasir::cli::RunProgram(argc, argv, KVASIR_VERSION);
}
