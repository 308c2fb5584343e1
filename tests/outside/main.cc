#include <cstdio>

#include "runtime/random.h"

int main() {
  const fusor::RandomKey key = fusor::random_key(1, "outside");
  std::printf("%f\n", fusor::normal(key, 0));
}
