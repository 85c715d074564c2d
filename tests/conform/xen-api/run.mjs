/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npm's xen-api, unchanged, as Xen Orchestra uses it: what the test runs at the desk. The environment says where the package
 * is (CONFORM_NPM), whom to talk to (COORDINATOR, MEMBER, PASSWORD), and the command that runs its arguments on the
 * coordinator (ON_COORDINATOR, words separated by blanks). Prints one line per thing that held; ends with 1 at the first that did not.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'

const { CONFORM_NPM, COORDINATOR, MEMBER, PASSWORD, ON_COORDINATOR } = process.env
const { createClient } = await import(pathToFileURL(`${CONFORM_NPM}/node_modules/xen-api/index.mjs`))

const onCoordinator = (...words) => {
  const [program, ...args] = ON_COORDINATOR.split(' ')
  return execFileSync(program, [...args, ...words], { encoding: 'utf8' }).trim()
}
const holds = what => console.log('ok   ' + what)
const client = (transport, host = COORDINATOR, password = PASSWORD) =>
  createClient({ url: `https://${host}/`, auth: { user: 'root', password }, transport, debounce: 50, eventPollDelay: 300 })

/* Waits until `look` gives something true. */
const until = async (what, look, seconds = 30) => {
  for (const end = Date.now() + seconds * 1e3; ; ) {
    const found = await look()
    if (found) return found
    assert(Date.now() < end, `${what}: not within ${seconds} s`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
const failure = async promise => {
  try {
    await promise
  } catch (error) {
    return [error.code, ...(error.params ?? [error.message])]
  }
  assert.fail('this should have failed')
}
const NOBODY = 'OpaqueRef:00000000-0000-4000-8000-000000000000'
const ofType = (xapi, type) => Object.values(xapi.objects.all).filter(object => object.$type === type)
const named = (xapi, name) => Object.values(xapi.objects.all).find(object => object.name_label === name)

/* What a log-in gives, and what stands in the way of one. */
async function connecting(transport) {
  const xapi = client(transport)
  await xapi.connect()
  await xapi.objectsFetched
  assert.equal(xapi.pool.uuid, onCoordinator('pool-list', '--minimal'))
  assert.deepEqual(ofType(xapi, 'host').map(host => host.name_label).sort(), ['h1', 'h2'])
  assert.equal(ofType(xapi, 'PIF').length, 8)
  holds(`${transport}: it connects and has everything`)
  const led = client(transport, MEMBER)
  await led.connect()
  await led.objectsFetched
  assert.equal(led.pool.$ref, xapi.pool.$ref)
  await led.disconnect()
  holds(`${transport}: a member leads it to the coordinator`)
  return xapi
}

/* Values of all types come as the transport has them: XML knows no numbers. */
async function calling(xapi, transport) {
  const number = n => (transport === 'xml-rpc' ? String(n) : n)
  const network = ofType(xapi, 'network')[0]
  assert.equal(await xapi.call('network.get_MTU', network.$ref), number(1500))
  assert.equal(network.MTU, number(1500))
  const record = await xapi.getRecord('network', network.$ref)
  assert.deepEqual({ ...record }, { ...network })
  const host = ofType(xapi, 'host').find(host => host.$ref === xapi.pool.master)
  assert.equal(typeof host.enabled, 'boolean')
  assert.equal(typeof (await xapi.call('host.get_software_version', host.$ref)).product_version, 'string')
  assert.equal((await xapi.call('host.get_by_name_label', 'h1')).length, 1)
  assert.equal(await xapi.call('host.get_by_uuid', host.uuid), host.$ref)
  assert.equal(host.$metrics.live, true)
  holds(`${transport}: calls give what the records say`)
  assert.deepEqual(await failure(xapi.call('network.get_MTU', NOBODY)), ['HANDLE_INVALID', 'network', NOBODY])
  assert.deepEqual(await failure(xapi.call('network.frobnicate')), ['MESSAGE_METHOD_UNKNOWN', 'network.frobnicate'])
  const [mismatch, method, ...counts] = await failure(xapi.call('network.get_MTU'))
  assert.deepEqual([mismatch, method, ...counts.map(Number)], ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'network.get_MTU', 1, 0])
  holds(`${transport}: failures have their codes and parameters`)
}

/* Changes of other clients arrive, and barriers pass while everybody writes into the same map. */
async function watching(xapi, transport) {
  const name = `watched ${transport} <&> "ü"`
  const uuid = onCoordinator('network-create', `name-label=${name}`)
  const { $ref } = await until('a new network', () => named(xapi, name))
  assert.equal(xapi.getObjectByUuid(uuid).$ref, $ref)
  onCoordinator('network-param-set', `uuid=${uuid}`, 'other-config:key=value', 'name-description=changed')
  await until('its changes', () => {
    const object = xapi.getObjectByRef($ref)
    return object.other_config.key === 'value' && object.name_description === 'changed'
  })
  onCoordinator('network-destroy', `uuid=${uuid}`)
  await until('its end', () => xapi.getObjectByRef($ref, null) === null)
  holds(`${transport}: it sees an object come, change and go`)
  for (let round = 0; round < 10; round++)
    await Promise.all([
      xapi.barrier(),
      xapi.barrier(),
      xapi.pool.update_other_config('one', String(round)),
      xapi.pool.update_other_config('two', String(round)),
    ])
  const pool = await xapi.barrier(xapi.pool.$ref)
  assert.deepEqual([pool.other_config.one, pool.other_config.two], ['9', '9'])
  await pool.update_other_config({ one: null, two: null, three: null })
  assert.equal((await xapi.barrier(pool.$ref)).other_config.one, undefined)
  await pool.add_tags('tagged')
  assert.deepEqual((await xapi.barrier(pool.$ref)).tags, ['tagged'])
  await pool.remove_tags('tagged')
  holds(`${transport}: barriers pass while many write into one map`)
}

async function tasks(xapi, transport) {
  const ref = await xapi.callAsync('network.create', { name_label: `task ${transport}`, other_config: {} })
  assert.match(ref, /^OpaqueRef:[0-9a-f-]{36}$/)
  assert.equal(await xapi.callAsync('network.destroy', ref), '')
  assert.deepEqual(await failure(xapi.callAsync('network.destroy', ref)), ['HANDLE_INVALID', 'network', ref])
  assert.deepEqual((await failure(xapi.callAsync('network.get_MTU', ref))).slice(0, 1), ['Fault'])
  holds(`${transport}: tasks end with a reference, nothing or an error`)
  const own = await xapi.createTask('of a client', 'that says itself how far it is')
  await xapi.call('task.set_progress', own, 0.5)
  await until('progress', () => xapi.getObjectByRef(own, {}).progress === 0.5)
  const end = xapi.watchTask(own)
  await xapi.call('task.set_status', own, 'success')
  await end
  await until('the end of the task', () => xapi.getObjectByRef(own, null) === null)
  holds(`${transport}: a client's own task moves and ends`)
}

/* The daemon of the coordinator is killed. Everybody logs in again, references stay, and events go on. */
async function restarting(clients) {
  /* Tasks and messages may be others. */
  const lasting = xapi => Object.values(xapi.objects.all).filter(object => !['task', 'message'].includes(object.$type))
  const sorted = xapi => lasting(xapi).map(object => `${object.$type} ${object.$ref}`).sort()
  const before = clients.map(([xapi]) => ({ pool: xapi.pool.$ref, objects: sorted(xapi), session: xapi.sessionId }))
  onCoordinator('kill-daemon')
  for (const [index, [xapi, transport]] of clients.entries()) {
    const refused = []
    const look = () => xapi.call('network.get_all').catch(error => refused.push(String(error.message)) && undefined)
    const [network] = await until('a call', look, 60).catch(error => {
      console.log(refused.filter((text, i) => text !== refused[i - 1]).join('\n'), xapi.status)
      throw error
    })
    await until('the same objects', () => sorted(xapi).join() === before[index].objects.join(), 60).catch(() =>
      assert.deepEqual(sorted(xapi), before[index].objects)
    )
    assert.notEqual(xapi.sessionId, before[index].session)
    assert.equal(xapi.pool.$ref, before[index].pool)
    const note = `after the restart, ${transport}`
    await xapi.setField('network', network, 'name_description', note)
    for (const [other] of clients)
      await until('an event', () => other.getObjectByRef(network).name_description === note, 60)
    const created = await xapi.callAsync('network.create', { name_label: note, other_config: {} })
    await xapi.callAsync('network.destroy', created)
    await until('the end of a network', () => clients.every(([other]) => other.getObjectByRef(created, null) === null))
    holds(`${transport}: it goes on after the daemon was killed`)
  }
}

const [code, user] = await failure(client('auto', COORDINATOR, 'wrong').connect())
assert.deepEqual([code, user], ['SESSION_AUTHENTICATION_FAILED', 'root'])
holds('a wrong password is refused')
const clients = []
for (const transport of ['auto', 'json-rpc', 'xml-rpc']) {
  const xapi = await connecting(transport)
  await calling(xapi, transport)
  await watching(xapi, transport)
  await tasks(xapi, transport)
  clients.push([xapi, transport])
}
await restarting(clients)
for (const [xapi] of clients) await xapi.disconnect()
process.exit(0)
