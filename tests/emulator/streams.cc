#include <algorithm>

#include "tests/emulator/machine.h"

namespace fusor::emulator {
namespace {

CUevent_st& event_of(const Machine& m, cudaEvent_t event) {
  if (!m.events.contains(event))
    fail(cudaErrorInvalidResourceHandle, "an event that does not exist");
  return *event;
}

// The record of an event that was not made for a graph; null if there is none.
const Record* record_of(CUevent_st& event) {
  if (event.capture) {
    invalidate(*event.capture);
    fail(cudaErrorCapturedEvent, "an event that was last recorded in a stream capture");
  }
  return event.record.get();
}

}  // namespace

CUstream_st& stream_of(Machine& m, cudaStream_t stream) {
  if (!stream) return *current_gpu(m).null_stream;
  if (!m.streams.contains(stream))
    fail(cudaErrorInvalidResourceHandle, "a stream that does not exist");
  return *stream;
}

void run_one(CUstream_st& stream) {
  Gpu& gpu = machine().gpus[static_cast<std::size_t>(stream.device)];
  for (Gpu& each : machine().gpus) each.memory.open();
  try {
    if (const auto& front = stream.items.front(); front.wait) run_until(*front.wait);
    if (const auto& front = stream.items.front(); front.meet && !front.meet()) throw NotReady();
    const Item item = std::move(stream.items.front());
    stream.items.pop_front();
    if (item.record) item.record->done = true;
    if (item.run) item.run();
  } catch (const Fault& fault) {
    gpu.broken = fault;
    throw;
  }
}
void run_all(CUstream_st& stream) {
  while (!stream.items.empty()) run_one(stream);
}
void run_until(const Record& record) {
  while (!record.done) run_one(*record.on);
}
void run_what_can(Machine& m) {
  for (Gpu& gpu : m.gpus)
    for (const auto& stream : gpu.streams) try {
        run_all(*stream);
      } catch (const NotReady&) {
      } catch (const Fault&) {  // the device is broken: its next call says so
      }
}
void run_device(Gpu& gpu) {
  for (const auto& stream : gpu.streams) run_all(*stream);
  std::erase_if(gpu.streams, [&](const auto& stream) {
    return stream != gpu.null_stream && !machine().streams.contains(stream.get());
  });
}

}  // namespace fusor::emulator

using namespace fusor::emulator;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* to, unsigned flags) {
  return call(During::allowed, [=](Machine& m) {
    if (flags != cudaStreamNonBlocking)
      fail(cudaErrorNotSupported, "only streams with cudaStreamNonBlocking are emulated");
    auto stream = std::make_shared<CUstream_st>();
    stream->device = current_device();
    m.streams.insert(stream.get());
    *to = stream.get();
    current_gpu(m).streams.push_back(std::move(stream));
  });
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* to, unsigned flags, int) {
  return cudaStreamCreateWithFlags(to, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

// What it holds still runs, when something waits for the device or for an event of it.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call(During::allowed, [=](Machine& m) {
    CUstream_st& s = stream_of(m, stream);
    expect(stream != nullptr, "the null stream cannot be destroyed");
    if (s.capture) invalidate(*s.capture);
    m.streams.erase(stream);
    auto& all = m.gpus[static_cast<std::size_t>(s.device)].streams;
    if (s.items.empty()) std::erase_if(all, [=](const auto& p) { return p.get() == stream; });
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return call(During::allowed, [=](Machine& m) {
    CUstream_st& s = stream_of(m, stream);
    refuse_capturing(s, "cudaStreamSynchronize");
    run_all(s);
  });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  bool done = false;
  const cudaError_t status = call(During::allowed, [&](Machine& m) {
    CUstream_st& s = stream_of(m, stream);
    refuse_capturing(s, "cudaStreamQuery");
    try {
      if (!s.items.empty()) run_one(s);
      done = s.items.empty();
    } catch (const NotReady&) {
      run_what_can(m);
    }
  });
  return status != cudaSuccess || done ? status : cudaErrorNotReady;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t f, void* argument) {
  return call(During::allowed,
              [=](Machine& m) { queue(stream_of(m, stream), [=] { f(argument); }); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* to, unsigned flags) {
  return call(During::allowed, [=](Machine& m) {
    *to = new CUevent_st{.device = current_device(),
                         .timed = !(flags & cudaEventDisableTiming),
                         .record = nullptr,
                         .capture = nullptr,
                         .after = {}};
    m.events.insert(*to);
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* to) {
  return cudaEventCreateWithFlags(to, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call(During::allowed, [=](Machine& m) {
    delete &event_of(m, event);
    m.events.erase(event);
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call(During::allowed, [=](Machine& m) {
    CUevent_st& e = event_of(m, event);
    CUstream_st& s = stream_of(m, stream);
    if (e.device != s.device)
      fail(cudaErrorInvalidResourceHandle, "an event is recorded on a stream of another device");
    e.capture = s.capture;
    e.after = s.last;
    e.record = nullptr;
    if (s.capture) return;
    e.record = std::make_shared<Record>(Record{.on = s.shared_from_this()});
    s.items.push_back({.run = {}, .meet = {}, .record = e.record, .wait = {}});
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return call(During::allowed, [=](Machine& m) {
    CUevent_st& e = event_of(m, event);
    CUstream_st& s = stream_of(m, stream);
    if (e.capture && std::ranges::count(m.captures, e.capture) == 0)
      fail(cudaErrorCapturedEvent, "an event of a stream capture that has ended");
    if (s.capture && s.capture != e.capture) {
      invalidate(*s.capture);
      fail(e.capture ? cudaErrorStreamCaptureMerge : cudaErrorStreamCaptureIsolation,
           "a stream that is captured waits for an event from outside the capture");
    }
    if (e.capture && !s.capture) {  // the stream takes part from here on
      s.capture = e.capture;
      s.capture->streams.push_back(&s);
    }
    if (e.capture) s.last.insert(e.after.begin(), e.after.end());
    if (e.record && !e.record->done)
      s.items.push_back({.run = {}, .meet = {}, .record = {}, .wait = e.record});
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call(During::allowed, [=](Machine& m) {
    if (const Record* const record = record_of(event_of(m, event))) run_until(*record);
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  bool done = false;
  const cudaError_t status = call(During::refused, [&](Machine& m) {
    const Record* const record = record_of(event_of(m, event));
    try {
      if (record && !record->done) run_one(*record->on);
      done = !record || record->done;
    } catch (const NotReady&) {
      run_what_can(m);
    }
  });
  return status != cudaSuccess || done ? status : cudaErrorNotReady;
}

// An emulated device takes no time.
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  bool done = false;
  const cudaError_t status = call(During::allowed, [&](Machine& m) {
    const CUevent_st &a = event_of(m, from), &b = event_of(m, to);
    if (!a.timed || !b.timed || !a.record || !b.record)
      fail(cudaErrorInvalidResourceHandle, "the time between events that take none");
    done = a.record->done && b.record->done;
    *ms = 0;
  });
  return status != cudaSuccess || done ? status : cudaErrorNotReady;
}
