#include "runtime/threads_transport.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/reduce.h"
#include "runtime/spans.h"

namespace fusor {

// What all groups of a job share. One lock for everything: these ranks are few.
struct ThreadRanks::Job {
  std::mutex mutex;
  std::condition_variable changed;
  bool failed = false;

  // All with the lock held.
  void fail() {
    failed = true;
    changed.notify_all();
  }
  void check(const std::string& label, std::source_location at = std::source_location::current()) {
    if (failed) throw PeerFailed(label + ": given up, because another rank failed", at);
  }
};

// One call, made by all its ranks. Operands are plain addresses: each rank keeps its own tensors.
struct ThreadRanks::Meeting {
  enum class State { gathering, running, complete };
  struct Operand {
    const std::byte* in = nullptr;
    std::byte* out = nullptr;
  };
  // What all ranks must agree on, and a message to say it with.
  struct Agenda {
    CommKind kind{};
    DType dtype{};
    ReduceOp op{};
    std::int64_t in = 0, out = 0;  // elements
    int peer = -1;
    bool operator==(const Agenda&) const = default;
  };

  explicit Meeting(int size) : operands(static_cast<std::size_t>(size)) {}
  void run() const;

  State state = State::gathering;
  Agenda agenda;
  std::string text;  // of the first to arrive
  int arrived = 0, first_rank = 0;
  std::vector<Operand> operands;  // of a message: the sender's, the receiver's
};

// What the ranks of one group share.
struct ThreadRanks::Hub {
  Hub(std::shared_ptr<Job> j, int s, std::string n)
      : job(std::move(j)), size(s), name(std::move(n)), calls(static_cast<std::size_t>(s)) {}

  std::shared_ptr<Job> job;
  int size;
  std::string name;
  std::deque<std::shared_ptr<Meeting>> open;  // not all ranks have come yet
  std::uint64_t closed = 0;                   // meetings before open.front()
  std::vector<std::uint64_t> calls;           // made by each rank
  // Sends not received and receives not sent, by (from, to).
  std::map<std::pair<int, int>, std::deque<std::shared_ptr<Meeting>>> messages;
  struct Part {
    std::shared_ptr<Hub> hub;
    int taken = 0;
  };
  std::map<std::pair<std::uint64_t, int>, Part> parts;  // by (number of the split, color)
};

namespace {

void move_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (to != from && bytes != 0) std::memmove(to, from, bytes);
}

}  // namespace

void ThreadRanks::Meeting::run() const {
  const std::size_t width = size_of(agenda.dtype);
  const std::size_t in_bytes = static_cast<std::size_t>(agenda.in) * width;
  const std::size_t out_bytes = static_cast<std::size_t>(agenda.out) * width;
  const std::size_t n = operands.size();
  std::vector<const std::byte*> parts(n);
  std::vector<std::byte*> outs(n);
  const auto block_bytes = agenda.kind == CommKind::all_gather ? in_bytes : out_bytes / n;
  switch (agenda.kind) {
    case CommKind::all_reduce:
      std::ranges::transform(operands, parts.begin(), &Operand::in);
      std::ranges::transform(operands, outs.begin(), &Operand::out);
      return reduce_in_order(agenda.dtype, agenda.op, parts, outs, agenda.in);
    case CommKind::reduce_scatter:
      for (std::size_t to = 0; to < n; ++to) {
        for (std::size_t from = 0; from < n; ++from)
          parts[from] = operands[from].in + to * out_bytes;
        reduce_in_order(agenda.dtype, agenda.op, parts, {&operands[to].out, 1}, agenda.out);
      }
      return;
    case CommKind::all_gather:
    case CommKind::all_to_all:
      for (std::size_t to = 0; to < n; ++to)
        for (std::size_t from = 0; from < n; ++from) {
          const bool exchange = agenda.kind == CommKind::all_to_all;
          move_bytes(operands[to].out + from * block_bytes,
                     operands[from].in + (exchange ? to * block_bytes : 0), block_bytes);
        }
      return;
    case CommKind::broadcast:
      for (const Operand& operand : operands)
        move_bytes(operand.out, operands[static_cast<std::size_t>(agenda.peer)].in, in_bytes);
      return;
    case CommKind::send:
    case CommKind::recv:
      return move_bytes(operands[1].out, operands[0].in, in_bytes);
    case CommKind::barrier:
      return;
  }
}

// One rank's part in a meeting.
class ThreadRanks::Attendance final : public Pending::Work {
 public:
  Attendance(std::shared_ptr<Job> job, std::shared_ptr<Meeting> meeting, CommCall call,
             std::string label)
      : job_(std::move(job)),
        meeting_(std::move(meeting)),
        call_(std::move(call)),
        label_(std::move(label)) {}
  Attendance(const Attendance&) = delete;
  Attendance& operator=(const Attendance&) = delete;
  // Leaving early ends the job, since the others cannot meet without this rank's operands.
  ~Attendance() override {
    std::unique_lock lock(job_->mutex);
    if (meeting_->state == Meeting::State::gathering) job_->fail();
    job_->changed.wait(lock, [&] { return meeting_->state != Meeting::State::running; });
  }

  bool test() override {
    const std::lock_guard lock(job_->mutex);
    return settled();
  }
  void wait() override {
    const Span waiting(label_);
    std::unique_lock lock(job_->mutex);
    job_->changed.wait(lock, [&] { return settled(); });
  }

 private:
  bool settled() const {
    if (meeting_->state == Meeting::State::complete) return true;
    if (meeting_->state == Meeting::State::gathering) job_->check(label_);
    return false;
  }

  std::shared_ptr<Job> job_;
  std::shared_ptr<Meeting> meeting_;
  CommCall call_;
  std::string label_;
};

// One rank's end of a group.
class ThreadRanks::End final : public Transport {
 public:
  End(std::shared_ptr<Hub> hub, int rank)
      : Transport(rank, hub->size, hub->name), hub_(std::move(hub)) {}

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    const std::vector<int> members = same_color(colors);
    const auto size = static_cast<int>(members.size());
    const auto at = static_cast<int>(std::ranges::find(members, rank()) - members.begin());
    const std::lock_guard lock(hub_->job->mutex);
    const std::pair key(splits_++, colors[static_cast<std::size_t>(rank())]);
    Hub::Part& part = hub_->parts[key];
    if (!part.hub) part.hub = std::make_shared<Hub>(hub_->job, size, std::move(name));
    auto end = std::make_unique<End>(part.hub, at);
    if (++part.taken == size) hub_->parts.erase(key);
    return end;
  }
  void require_peers() const override {
    const std::lock_guard lock(hub_->job->mutex);
    hub_->job->check(name());
  }

 private:
  Pending start(CommCall call) override {
    require(!call.in.defined() || (call.in.device().kind() == DeviceKind::cpu &&
                                   call.out.device().kind() == DeviceKind::cpu),
            describe(call), ": threads move host tensors only");
    Job& job = *hub_->job;
    std::unique_lock lock(job.mutex);
    job.check(describe(call));
    const bool message = call.kind == CommKind::send || call.kind == CommKind::recv;
    const std::shared_ptr<Meeting> meeting = message ? match(call) : next();
    attend(*meeting, call);
    auto work = std::make_unique<Attendance>(hub_->job, meeting, call, describe(call));
    if (meeting->state == Meeting::State::running) {
      lock.unlock();
      meeting->run();
      lock.lock();
      meeting->state = Meeting::State::complete;
      job.changed.notify_all();
    }
    lock.unlock();
    return Pending(std::move(work));
  }

  // The collective that is this rank's turn.
  std::shared_ptr<Meeting> next() {
    const std::uint64_t at = hub_->calls[static_cast<std::size_t>(rank())]++ - hub_->closed;
    if (at == hub_->open.size()) hub_->open.push_back(std::make_shared<Meeting>(size()));
    std::shared_ptr<Meeting> meeting = hub_->open[at];
    if (meeting->arrived + 1 == size()) {  // the last to come; those before came earlier
      hub_->open.pop_front();
      ++hub_->closed;
    }
    return meeting;
  }

  // The oldest message of the other side that waits for this one, or a new one that waits for it.
  std::shared_ptr<Meeting> match(const CommCall& call) {
    const bool sends = call.kind == CommKind::send;
    auto& waiting =
        hub_->messages[sends ? std::pair(rank(), call.peer) : std::pair(call.peer, rank())];
    if (waiting.empty() || waiting.front()->agenda.kind == call.kind) {
      waiting.push_back(std::make_shared<Meeting>(2));
      return waiting.back();
    }
    const std::shared_ptr<Meeting> meeting = waiting.front();
    waiting.pop_front();
    return meeting;
  }

  void attend(Meeting& meeting, const CommCall& call) {
    const bool message = call.kind == CommKind::send || call.kind == CommKind::recv;
    Meeting::Agenda agenda{.kind = call.kind, .op = call.op, .peer = call.peer};
    Meeting::Operand operand;
    if (call.in.defined()) {
      agenda.dtype = call.in.dtype();
      agenda.in = call.in.size();
      agenda.out = call.out.size();
      operand = {call.in.raw(), call.out.raw()};
    }
    std::string text = describe(call) + " of " + std::to_string(agenda.in) + " " +
                       std::string(name_of(agenda.dtype));
    if (meeting.arrived == 0) {
      meeting.agenda = agenda;
      meeting.text = std::move(text);
      meeting.first_rank = rank();
    } else {
      Meeting::Agenda expected = meeting.agenda;
      if (message) expected.kind = agenda.kind, expected.peer = agenda.peer;
      if (agenda != expected) hub_->job->fail();
      require(agenda == expected, text, " meets rank ", meeting.first_rank, "'s ", meeting.text);
    }
    const std::size_t seat =
        !message ? static_cast<std::size_t>(rank()) : call.kind == CommKind::recv;
    meeting.operands[seat] = operand;
    if (++meeting.arrived == static_cast<int>(meeting.operands.size()))
      meeting.state = Meeting::State::running;
  }

  std::shared_ptr<Hub> hub_;
  std::uint64_t splits_ = 0;
};

ThreadRanks::ThreadRanks(int size) : job_(std::make_shared<Job>()) {
  require(size > 0, "a job needs at least one rank, not ", size);
  hub_ = std::make_shared<Hub>(job_, size, "world");
}

ThreadRanks::~ThreadRanks() = default;

std::unique_ptr<Transport> ThreadRanks::transport(int rank) const {
  require(rank >= 0 && rank < hub_->size, "no rank ", rank, " among ", hub_->size);
  return std::make_unique<End>(hub_, rank);
}

void ThreadRanks::fail() const {
  const std::lock_guard lock(job_->mutex);
  job_->fail();
}

}  // namespace fusor
