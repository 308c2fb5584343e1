#pragma once
// Ranges of a thread. A launch is named in errors after the innermost one.
int nvtxRangePushA(const char* name);
int nvtxRangePop();
