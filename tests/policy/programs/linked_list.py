class Node:
    __slots__ = ("value", "next")
    def __init__(self, value, next=None): self.value, self.next = value, next
class LinkedList:
    def __init__(self, items=()):
        self._head = None; self._size = 0
        for i in items: self.append(i)
    def append(self, v):
        node = Node(v)
        if not self._head: self._head = node
        else:
            cur = self._head
            while cur.next: cur = cur.next
            cur.next = node
        self._size += 1
    def __iter__(self):
        cur = self._head
        while cur:
            yield cur.value
            cur = cur.next
    def __len__(self): return self._size
    def reverse(self):
        prev, cur = None, self._head
        while cur: cur.next, prev, cur = prev, cur, cur.next
        self._head = prev
l = LinkedList("abc"); l.reverse(); print(list(l), len(l))
