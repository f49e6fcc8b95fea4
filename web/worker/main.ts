self.postMessage('hello from worker');
