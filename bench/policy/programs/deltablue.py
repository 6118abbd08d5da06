"""Constraints that keep variables in step: a hierarchy of classes, planned and replanned."""

SIZE = 250

REQUIRED, STRONG, MEDIUM, WEAK = range(4)


class Variable:
    def __init__(self, name, value=0):
        self.name = name
        self.value = value
        self.constraints = []
        self.determined_by = None
        self.strength = WEAK
        self.mark = 0
        self.stays = True

    def add(self, constraint):
        self.constraints.append(constraint)

    def remove(self, constraint):
        self.constraints.remove(constraint)
        if self.determined_by is constraint:
            self.determined_by = None


class Constraint:
    def __init__(self, strength):
        self.strength = strength

    def add_to(self, planner):
        self.join()
        planner.incremental_add(self)

    def satisfy(self, mark, planner):
        self.choose(mark)
        if not self.is_satisfied():
            if self.strength == REQUIRED:
                raise ValueError("a required constraint cannot be satisfied")
            return None
        for variable in self.inputs():
            variable.mark = mark
        out = self.output()
        overridden = out.determined_by
        if overridden is not None:
            overridden.unsatisfy()
        out.determined_by = self
        planner.propagate(self, mark)
        out.mark = mark
        return overridden

    def inputs_known(self, mark):
        for variable in self.inputs():
            if not (variable.mark == mark or variable.stays or variable.determined_by is None):
                return False
        return True


class Unary(Constraint):
    is_input = False

    def __init__(self, variable, strength):
        super().__init__(strength)
        self.out = variable
        self.satisfied = False

    def join(self):
        self.out.add(self)
        self.satisfied = False

    def choose(self, mark):
        self.satisfied = self.out.mark != mark and self.strength < self.out.strength

    def is_satisfied(self):
        return self.satisfied

    def unsatisfy(self):
        self.satisfied = False

    def inputs(self):
        return ()

    def output(self):
        return self.out

    def leave(self):
        self.out.remove(self)
        self.satisfied = False

    def recalculate(self):
        self.out.strength = self.strength
        self.out.stays = not self.is_input

    def execute(self):
        pass


class Edit(Unary):
    is_input = True


class Stay(Unary):
    pass


class Binary(Constraint):
    def __init__(self, first, second, strength):
        super().__init__(strength)
        self.first = first
        self.second = second
        self.direction = 0

    def join(self):
        self.first.add(self)
        self.second.add(self)
        self.direction = 0

    def choose(self, mark):
        first, second = self.first, self.second
        if first.mark == mark:
            free = second.mark != mark and self.strength < second.strength
            self.direction = 1 if free else 0
        elif second.mark == mark:
            self.direction = -1 if self.strength < first.strength else 0
        elif first.strength > second.strength:
            self.direction = -1 if self.strength < first.strength else 0
        else:
            self.direction = 1 if self.strength < second.strength else 0

    def is_satisfied(self):
        return self.direction != 0

    def unsatisfy(self):
        self.direction = 0

    def inputs(self):
        return (self.input(),)

    def input(self):
        return self.first if self.direction == 1 else self.second

    def output(self):
        return self.second if self.direction == 1 else self.first

    def leave(self):
        self.first.remove(self)
        self.second.remove(self)
        self.direction = 0

    def recalculate(self):
        source, out = self.input(), self.output()
        out.strength = max(self.strength, source.strength)
        out.stays = source.stays
        if out.stays:
            self.execute()

    def execute(self):
        self.output().value = self.input().value


class Scale(Binary):
    def __init__(self, source, scale, offset, target, strength):
        super().__init__(source, target, strength)
        self.scale = scale
        self.offset = offset

    def execute(self):
        if self.direction == 1:
            self.second.value = self.first.value * self.scale.value + self.offset.value
        else:
            self.first.value = (self.second.value - self.offset.value) // self.scale.value


class Planner:
    def __init__(self):
        self.current_mark = 0

    def new_mark(self):
        self.current_mark += 1
        return self.current_mark

    def incremental_add(self, constraint):
        mark = self.new_mark()
        overridden = constraint.satisfy(mark, self)
        while overridden is not None:
            overridden = overridden.satisfy(mark, self)

    def incremental_remove(self, constraint):
        out = constraint.output()
        constraint.unsatisfy()
        constraint.leave()
        out.determined_by = None
        out.strength = WEAK
        out.stays = True
        for other in sorted(out.constraints, key=lambda c: c.strength):
            if not other.is_satisfied():
                self.incremental_add(other)

    def propagate(self, constraint, mark):
        todo = [constraint]
        while todo:
            one = todo.pop()
            if one.output().mark == mark:
                continue
            one.recalculate()
            self.consumers(one.output(), todo)

    def consumers(self, variable, into):
        determining = variable.determined_by
        for constraint in variable.constraints:
            if constraint is not determining and constraint.is_satisfied():
                into.append(constraint)

    def plan(self, sources):
        mark = self.new_mark()
        plan, todo = [], [c for c in sources if c.is_input and c.is_satisfied()]
        while todo:
            constraint = todo.pop()
            if constraint.output().mark != mark and constraint.inputs_known(mark):
                plan.append(constraint)
                constraint.output().mark = mark
                self.consumers(constraint.output(), todo)
        return plan

    def change(self, variable, value):
        edit = Edit(variable, STRONG)
        edit.add_to(self)
        plan = self.plan([edit])
        for _ in range(3):
            variable.value = value
            for constraint in plan:
                constraint.execute()
        self.incremental_remove(edit)


def chain(size):
    planner = Planner()
    variables = [Variable(f"v{i}") for i in range(size + 1)]
    for first, second in zip(variables, variables[1:]):
        Binary(first, second, REQUIRED).add_to(planner)
    Stay(variables[-1], MEDIUM).add_to(planner)
    for value in range(4):
        planner.change(variables[0], value)
    return variables[0].value, variables[-1].value


def projection(size):
    planner = Planner()
    scale, offset = Variable("scale", 10), Variable("offset", 1000)
    targets = []
    for i in range(size):
        source, target = Variable("source", i), Variable("target", i)
        targets.append(target)
        Stay(source, MEDIUM).add_to(planner)
        Scale(source, scale, offset, target, REQUIRED).add_to(planner)
    planner.change(source, 17)
    planner.change(scale, 5)
    planner.change(offset, 2000)
    return sum(target.value for target in targets)


def run(size):
    return chain(size), projection(size)
