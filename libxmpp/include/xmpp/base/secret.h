// Secret: text that must not be logged or compared in variable time, and that is wiped when it
// dies. It has no stream or log overload on purpose.
//
// Thread-safety: one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace xmpp {

// Same bytes? Takes time that depends on the lengths only.
[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b) noexcept;
// Overwrites the bytes (the spare capacity too) in a way that the optimiser keeps, and empties
// `text`.
void wipe(std::string& text) noexcept;

class Secret {
 public:
  Secret() = default;
  // Wipes what a short string leaves behind in the argument.
  explicit Secret(std::string text) : text_(std::move(text)) { wipe(text); }
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { wipe(other.text_); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe(text_);
      text_ = other.text_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    wipe(text_);
    text_ = std::move(other.text_);
    wipe(other.text_);
    return *this;
  }
  ~Secret() { wipe(text_); }

  // The text itself; do not store or log it.
  [[nodiscard]] const std::string& reveal() const noexcept { return text_; }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

 private:
  std::string text_;
};

}  // namespace xmpp
