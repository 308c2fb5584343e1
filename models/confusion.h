#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fusor {

// How often each class was taken for each, and what is told from that. Of single labels: a sample
// has one class and is taken for one.
class ConfusionMatrix {
 public:
  // Throws Error unless there is a class.
  explicit ConfusionMatrix(std::int64_t classes);

  // A sample of class `truth` that was taken for `told`. Throws Error for a class there is none of.
  void add(std::int64_t truth, std::int64_t told, std::int64_t times = 1);
  void add(const ConfusionMatrix& other);  // of as many classes
  // Of class `truth`, those taken for `told`.
  std::int64_t count(std::int64_t truth, std::int64_t told) const;

  std::int64_t classes() const { return classes_; }
  std::int64_t samples() const;
  // The share of samples that were taken for what they are; 0 of none.
  double accuracy() const;

  struct Scores {
    double precision = 0;  // of what was taken for the class, the share that is of it
    double recall = 0;     // of what is of the class, the share that was taken for it
    double f1 = 0;         // 2 precision recall / (precision + recall)
  };
  // A share of nothing is 0.
  Scores scores(std::int64_t of_class) const;
  // The means of the classes' scores, over those that samples are of or were taken for.
  Scores macro() const;
  // Of all classes' counts together: with single labels all three are the accuracy.
  Scores micro() const;

 private:
  std::int64_t is(std::int64_t of_class) const;    // samples that are of the class
  std::int64_t told(std::int64_t of_class) const;  // that were taken for it
  std::int64_t correct() const;
  void require_class(std::int64_t of_class) const;

  std::int64_t classes_;
  std::vector<std::int64_t> counts_;  // [classes, classes]: truth, told
};

// The index of the largest of the logits, the first of equal ones. Throws Error where there is
// none, or one that is not a number.
std::int64_t largest(std::span<const float> logits);

}  // namespace fusor
