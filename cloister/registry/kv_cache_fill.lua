-- Fill a slot of the cache, if the mark of who read the database is still in it.
-- KEYS[1] the slot. ARGV: the mark, the entry, its life in seconds.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
