"""A simulated operating system: tasks, packets, queues, many small methods."""

SIZE = 2

IDLE, WORKER, HANDLER_A, HANDLER_B, DEVICE_A, DEVICE_B = range(6)
DEVICE_PACKET, WORK_PACKET = range(2)
BUFFER = 4


class Packet:
    def __init__(self, link, identity, kind):
        self.link = link
        self.identity = identity
        self.kind = kind
        self.datum = 0
        self.data = [0] * BUFFER

    def append_to(self, queue):
        self.link = None
        if queue is None:
            return self
        last = queue
        while last.link is not None:
            last = last.link
        last.link = self
        return queue


class State:
    def __init__(self):
        self.packet_pending = True
        self.task_waiting = False
        self.task_holding = False

    def pend(self):
        self.packet_pending = True
        self.task_waiting = False
        self.task_holding = False
        return self

    def wait(self):
        self.packet_pending = False
        self.task_waiting = True
        self.task_holding = False
        return self

    def go(self):
        self.packet_pending = False
        self.task_waiting = False
        self.task_holding = False
        return self

    def wait_with_packet(self):
        self.packet_pending = True
        self.task_waiting = True
        self.task_holding = False
        return self

    def is_held_or_waiting(self):
        return self.task_holding or (not self.packet_pending and self.task_waiting)

    def is_waiting_with_packet(self):
        return self.packet_pending and self.task_waiting and not self.task_holding


class Scheduler:
    def __init__(self):
        self.tasks = None
        self.current = None
        self.current_identity = -1
        self.table = [None] * 6
        self.holds = 0
        self.queued = 0

    def add(self, task):
        self.tasks = task
        self.table[task.identity] = task

    def find(self, identity):
        task = self.table[identity]
        if task is None:
            raise KeyError(identity)
        return task

    def run(self):
        task = self.tasks
        while task is not None:
            self.current = task
            if task.state.is_held_or_waiting():
                task = task.link
            else:
                self.current_identity = task.identity
                task = task.run()


class Task:
    def __init__(self, scheduler, identity, priority, queue, state):
        self.scheduler = scheduler
        self.link = scheduler.tasks
        self.identity = identity
        self.priority = priority
        self.queue = queue
        self.state = state
        scheduler.add(self)

    def work(self, packet):
        raise NotImplementedError

    def run(self):
        packet = None
        if self.state.is_waiting_with_packet():
            packet = self.queue
            self.queue = packet.link
            if self.queue is None:
                self.state.go()
            else:
                self.state.pend()
        return self.work(packet)

    def add_packet(self, packet, former):
        if self.queue is None:
            self.queue = packet
            self.state.packet_pending = True
            if self.priority > former.priority:
                return self
        else:
            packet.append_to(self.queue)
        return former

    def wait_task(self):
        self.state.task_waiting = True
        return self

    def hold(self):
        self.scheduler.holds += 1
        self.state.task_holding = True
        return self.link

    def release(self, identity):
        task = self.scheduler.find(identity)
        task.state.task_holding = False
        return task if task.priority > self.priority else self

    def send(self, packet):
        task = self.scheduler.find(packet.identity)
        self.scheduler.queued += 1
        packet.link = None
        packet.identity = self.identity
        return task.add_packet(packet, self)


class IdleTask(Task):
    def __init__(self, scheduler, count):
        super().__init__(scheduler, IDLE, 0, None, State().go())
        self.control = 1
        self.count = count

    def work(self, packet):
        self.count -= 1
        if self.count == 0:
            return self.hold()
        if self.control & 1 == 0:
            self.control //= 2
            return self.release(DEVICE_A)
        self.control = self.control // 2 ^ 0xD008
        return self.release(DEVICE_B)


class WorkTask(Task):
    def __init__(self, scheduler, queue):
        super().__init__(scheduler, WORKER, 1000, queue, State().wait_with_packet())
        self.destination = HANDLER_A
        self.letter = 0

    def work(self, packet):
        if packet is None:
            return self.wait_task()
        self.destination = HANDLER_B if self.destination == HANDLER_A else HANDLER_A
        packet.identity = self.destination
        packet.datum = 0
        for i in range(BUFFER):
            self.letter = self.letter + 1 if self.letter < 26 else 1
            packet.data[i] = 64 + self.letter
        return self.send(packet)


class HandlerTask(Task):
    def __init__(self, scheduler, identity, priority, queue):
        super().__init__(scheduler, identity, priority, queue, State().wait_with_packet())
        self.work_in = None
        self.device_in = None

    def work(self, packet):
        if packet is not None:
            if packet.kind == WORK_PACKET:
                self.work_in = packet.append_to(self.work_in)
            else:
                self.device_in = packet.append_to(self.device_in)
        work = self.work_in
        if work is None:
            return self.wait_task()
        count = work.datum
        if count >= BUFFER:
            self.work_in = work.link
            return self.send(work)
        device = self.device_in
        if device is None:
            return self.wait_task()
        self.device_in = device.link
        device.datum = work.data[count]
        work.datum = count + 1
        return self.send(device)


class DeviceTask(Task):
    def __init__(self, scheduler, identity, priority):
        super().__init__(scheduler, identity, priority, None, State().wait())
        self.pending = None

    def work(self, packet):
        if packet is None:
            if self.pending is None:
                return self.wait_task()
            packet, self.pending = self.pending, None
            return self.send(packet)
        self.pending = packet
        return self.hold()


def simulate():
    scheduler = Scheduler()
    IdleTask(scheduler, 2_500)
    queue = Packet(Packet(None, WORKER, WORK_PACKET), WORKER, WORK_PACKET)
    WorkTask(scheduler, queue)
    for identity, device, priority in ((HANDLER_A, DEVICE_A, 2000), (HANDLER_B, DEVICE_B, 3000)):
        queue = None
        for _ in range(3):
            queue = Packet(queue, device, DEVICE_PACKET)
        HandlerTask(scheduler, identity, priority, queue)
    DeviceTask(scheduler, DEVICE_A, 4000)
    DeviceTask(scheduler, DEVICE_B, 5000)
    scheduler.run()
    return scheduler.holds, scheduler.queued


def run(size):
    return [simulate() for _ in range(size)]
