#include "models/confusion.h"

#include <algorithm>
#include <cmath>

#include "runtime/error.h"

namespace fusor {
namespace {

double share(double part, double of) { return of > 0 ? part / of : 0; }

}  // namespace

ConfusionMatrix::ConfusionMatrix(std::int64_t classes) : classes_(classes) {
  require(classes > 0, "a confusion matrix of ", classes, " classes");
  counts_.resize(static_cast<std::size_t>(classes * classes));
}

void ConfusionMatrix::require_class(std::int64_t c) const {
  require(0 <= c && c < classes_, "class ", c, " is not one of the ", classes_, " that there are");
}

void ConfusionMatrix::add(std::int64_t truth, std::int64_t told, std::int64_t times) {
  require_class(truth), require_class(told);
  counts_[static_cast<std::size_t>(truth * classes_ + told)] += times;
}

void ConfusionMatrix::add(const ConfusionMatrix& other) {
  require(other.classes_ == classes_, "confusion matrices of ", classes_, " and ", other.classes_,
          " classes cannot be added");
  std::ranges::transform(counts_, other.counts_, counts_.begin(), std::plus());
}

std::int64_t ConfusionMatrix::count(std::int64_t truth, std::int64_t told) const {
  require_class(truth), require_class(told);
  return counts_[static_cast<std::size_t>(truth * classes_ + told)];
}

std::int64_t ConfusionMatrix::samples() const {
  std::int64_t sum = 0;
  for (const std::int64_t n : counts_) sum += n;
  return sum;
}

std::int64_t ConfusionMatrix::is(std::int64_t of_class) const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(of_class, c);
  return sum;
}

std::int64_t ConfusionMatrix::told(std::int64_t of_class) const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(c, of_class);
  return sum;
}

std::int64_t ConfusionMatrix::correct() const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += count(c, c);
  return sum;
}

double ConfusionMatrix::accuracy() const {
  return share(static_cast<double>(correct()), static_cast<double>(samples()));
}

ConfusionMatrix::Scores ConfusionMatrix::scores(std::int64_t of_class) const {
  const auto both = static_cast<double>(count(of_class, of_class));
  const auto those = static_cast<double>(is(of_class)), taken = static_cast<double>(told(of_class));
  return {share(both, taken), share(both, those), share(2 * both, taken + those)};
}

ConfusionMatrix::Scores ConfusionMatrix::macro() const {
  Scores mean;
  double there = 0;
  for (std::int64_t c = 0; c < classes_; ++c) {
    if (is(c) + told(c) == 0) continue;
    const Scores of_class = scores(c);
    mean.precision += of_class.precision, mean.recall += of_class.recall, mean.f1 += of_class.f1;
    ++there;
  }
  return {share(mean.precision, there), share(mean.recall, there), share(mean.f1, there)};
}

ConfusionMatrix::Scores ConfusionMatrix::micro() const {
  return {accuracy(), accuracy(), accuracy()};
}

std::int64_t largest(std::span<const float> logits) {
  require(!logits.empty(), "the largest of no logits");
  for (const float logit : logits) require(!std::isnan(logit), "a logit is not a number");
  return std::ranges::max_element(logits) - logits.begin();
}

}  // namespace fusor
