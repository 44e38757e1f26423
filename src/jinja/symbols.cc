#include "jinja/symbols.h"

namespace kvasir::jinja {

uint32_t Symbols::SlotOf(const std::string& name) {
  const auto [it, is_new] = slots_.try_emplace(name, static_cast<uint32_t>(scope_.loads.size()));
  if (is_new) scope_.loads.emplace_back();
  return it->second;
}

void Symbols::AddRef(const std::string& name) {
  if (refs_.insert(name).second) journal_.push_back({Change::Kind::kRef, name, 0, {}});
}

void Symbols::AddStore(const std::string& name) {
  if (stores_.insert(name).second) journal_.push_back({Change::Kind::kStore, name, 0, {}});
}

void Symbols::SetLoad(uint32_t slot, Load load) {
  journal_.push_back({Change::Kind::kLoad, {}, slot, std::move(scope_.loads[slot])});
  scope_.loads[slot] = std::move(load);
}

uint32_t Symbols::Define(const std::string& name, Load load) {
  const uint32_t slot = SlotOf(name);
  AddRef(name);
  SetLoad(slot, std::move(load));
  return slot;
}

std::optional<SlotRef> Symbols::Find(const std::string& name) const {
  uint32_t hops = 0;
  for (const Symbols* symbols = this; symbols != nullptr; symbols = symbols->parent_, ++hops) {
    if (symbols->refs_.contains(name)) return SlotRef{hops, symbols->slots_.at(name)};
  }
  return std::nullopt;
}

void Symbols::NoteLoad(const std::string& name) {
  if (!Find(name)) Define(name, {Load::Kind::kContext, name, {}});
}

void Symbols::NoteStore(const std::string& name) {
  AddStore(name);
  if (refs_.contains(name)) return;
  if (const auto outer = Find(name)) {
    Define(name, {Load::Kind::kAlias, name, *outer});
  } else {
    Define(name, {Load::Kind::kMissing, name, {}});
  }
}

uint32_t Symbols::DeclareParameter(const std::string& name) {
  AddStore(name);
  return Define(name, {Load::Kind::kParameter, name, {}});
}

Symbols::Branch Symbols::TakeBack(size_t mark) {
  Branch branch;
  while (journal_.size() > mark) {
    Change& change = journal_.back();
    switch (change.kind) {
      case Change::Kind::kRef:
        refs_.erase(change.name);
        branch.refs.push_back(std::move(change.name));
        break;
      case Change::Kind::kStore:
        stores_.erase(change.name);
        branch.stores.insert(std::move(change.name));
        break;
      case Change::Kind::kLoad:
        branch.loads.emplace_back(change.slot, std::move(scope_.loads[change.slot]));
        scope_.loads[change.slot] = std::move(change.before);
        break;
    }
    journal_.pop_back();
  }
  return branch;
}

void Symbols::Merge(const std::vector<Branch>& branches) {
  std::set<std::string> stored;
  for (const Branch& branch : branches) {
    for (const std::string& name : branch.stores) {
      if (!stores_.contains(name)) stored.insert(name);
    }
  }
  for (const Branch& branch : branches) {
    for (const std::string& name : branch.refs) AddRef(name);
    // The journal was read backwards: the last change of a slot comes first, and must win.
    for (auto it = branch.loads.rbegin(); it != branch.loads.rend(); ++it) SetLoad(it->first, it->second);
    for (const std::string& name : branch.stores) AddStore(name);
  }
  for (const std::string& name : stored) {
    const auto outer = parent_ == nullptr ? std::nullopt : parent_->Find(name);
    if (outer) {
      SetLoad(SlotOf(name), {Load::Kind::kAlias, name, {outer->hops + 1, outer->slot}});
    } else {
      SetLoad(SlotOf(name), {Load::Kind::kContext, name, {}});
    }
  }
}

void Symbols::MarkCaptured() {
  for (Symbols* symbols = this; symbols != nullptr; symbols = symbols->parent_) symbols->scope_.captured = true;
}

}  // namespace kvasir::jinja
