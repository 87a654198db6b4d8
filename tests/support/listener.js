// Runs before the page: what reaches the loudspeaker is kept, in 16-bit numbers, from the first sample that is not
// silence. The context of 22 050 Hz, espeak's rate, is made beforehand and given to the page when it asks for one, so
// that the listener is there before the first sample. (A worklet would miss nothing, but cannot be loaded under the
// page's own Content-Security-Policy; so the blocks are large.) While the page is busy for longer than a block, the
// browser overwrites a block before it is heard: `missed` says that this may have happened.
(() => {
  const Native = window.AudioContext;
  const recorded = (window.recorded = { samples: [], statusAtFirst: null, scheduled: [], ahead: 0, rates: [], violations: [], missed: false });
  document.addEventListener("securitypolicyviolation", (event) => recorded.violations.push(event.violatedDirective));

  const prepared = new Native({ sampleRate: 22050 });
  const connect = AudioNode.prototype.connect;
  const size = 16384;
  const keep = prepared.createScriptProcessor(size, 1, 1);
  let heardAt = null;
  keep.onaudioprocess = ({ inputBuffer }) => {
    const now = prepared.currentTime;
    recorded.missed ||= heardAt !== null && now - heardAt > (1.5 * size) / 22050;
    heardAt = now;
    const block = Array.from(inputBuffer.getChannelData(0), (value) => Math.round(value * 32768));
    const first = recorded.samples.length ? 0 : block.findIndex((value) => value !== 0);
    if (first >= 0) recorded.samples.push(...block.slice(first));
  };
  const notice = prepared.createAnalyser();
  const now = new Float32Array(notice.fftSize);
  const noticing = setInterval(() => {
    notice.getFloatTimeDomainData(now);
    if (now.every((value) => value === 0)) return;
    recorded.statusAtFirst = document.querySelector("#list td.status")?.dataset.status;
    clearInterval(noticing);
  }, 20);
  connect.call(keep, prepared.destination);
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target === prepared.destination) {
      connect.call(this, keep);
      connect.call(this, notice);
    }
    return connect.call(this, target, ...rest);
  };
  window.AudioContext = function (options) {
    return options.sampleRate === 22050 ? prepared : new Native(options);
  };
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when) {
    const samples = Array.from(this.buffer.getChannelData(0), (value) => value * 32768);
    recorded.rates.push(this.buffer.sampleRate);
    recorded.ahead = Math.max(recorded.ahead, when - this.context.currentTime);
    recorded.scheduled.push({ frame: when * this.buffer.sampleRate, samples });
    start.call(this, when);
  };
})();
