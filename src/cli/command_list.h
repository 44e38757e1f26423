// The commands, each defined in the file of its name. A new one: its file, a line here, a line in commands.cc.
#pragma once

#include "cli/command.h"

namespace kvasir::cli {

Action DefineRun(CLI::App& app);            // run_command.cc
Action DefineChat(CLI::App& app);           // chat_command.cc
Action DefineServe(CLI::App& app);          // serve_command.cc
Action DefineEmbed(CLI::App& app);          // embed_command.cc
Action DefineInspect(CLI::App& app);        // inspect_command.cc
Action DefineTokenize(CLI::App& app);       // tokenize_command.cc
Action DefineDetokenize(CLI::App& app);     // detokenize_command.cc
Action DefineApplyTemplate(CLI::App& app);  // apply_template_command.cc
Action DefineGrammar(CLI::App& app);        // grammar_command.cc
Action DefineBench(CLI::App& app);          // bench_command.cc
Action DefineEval(CLI::App& app);           // eval_command.cc
Action DefineCalibrate(CLI::App& app);      // calibrate_command.cc
Action DefineTune(CLI::App& app);           // tune_command.cc
Action DefineCompletion(CLI::App& app);     // completion_command.cc

}  // namespace kvasir::cli
